import type { Book } from './book.js'
import { readBook, userHeaders } from './book.js'
import type { DeadLetter } from './dead-letters.js'
import { read } from './decode.js'
import type { DeadReason, Delivery } from './driver.js'
import { MsgloopError } from './error.js'
import type { ResolvedQueue } from './resolved-queue.js'

/** Reads an entry of a dead-letter queue, whoever put it there. */
export function readDeadLetter<T>(source: ResolvedQueue<T>, delivery: Delivery): DeadLetter<T> {
  const book = readBook(delivery)
  const { message, nativeDeath } = delivery
  const at = book.dead?.at ?? nativeDeath?.at
  return {
    id: message.id,
    reason: reasonOf(book, delivery),
    source: book.dead?.source ?? nativeDeath?.source ?? source.definition.name,
    error: book.dead?.error,
    firstAttemptAt: date(book.dead?.firstAttemptAt),
    deadAt: date(at),
    attempts: book.records,
    attemptCount: book.total,
    deliveries: book.dead?.deliveries ?? delivery.deliveries,
    replays: book.replays,
    editedFrom: book.editedFrom,
    bytes: message.body,
    body() {
      try {
        return read(source.definition.codec, message) as T
      } catch (error) {
        throw new MsgloopError(
          'INVALID',
          `dead letter ${message.id} of queue "${source.definition.name}": the body cannot be decoded; its bytes are in "bytes"`,
          { cause: error },
        )
      }
    },
    headers: userHeaders(message.headers),
    key: message.key,
    type: message.type,
    subject: message.subject,
    correlationId: message.correlationId,
    causationId: message.causationId,
    timestamp: date(message.timestamp || undefined),
  }
}

/** A foreign hand put it here when neither the core nor the broker says why. */
function reasonOf(book: Book, { nativeDeath }: Delivery): DeadReason {
  return book.dead?.reason ?? nativeDeath?.reason ?? 'rejected'
}

function date(ms: number | undefined): Date | undefined {
  return ms === undefined ? undefined : new Date(ms)
}
