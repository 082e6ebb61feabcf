import type { Book } from './book.js'
import { readBook, userHeaders } from './book.js'
import type { DeadLetter, DeadLetterFilter, ErrorRecord } from './dead-letters.js'
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

/** Whether an entry meets every condition of a filter. */
export function matcher(filter: DeadLetterFilter): (entry: DeadLetter<unknown>) => boolean {
  const ids =
    filter.id === undefined ? undefined : new Set(typeof filter.id === 'string' ? [filter.id] : filter.id)
  const error = filter.error === undefined ? undefined : glob(filter.error)
  return (entry) =>
    (ids === undefined || ids.has(entry.id)) &&
    (error === undefined || (entry.error !== undefined && matchesError(error, entry.error))) &&
    (filter.reason === undefined || entry.reason === filter.reason) &&
    (filter.key === undefined || entry.key === filter.key) &&
    (filter.since === undefined || (entry.deadAt !== undefined && entry.deadAt >= filter.since)) &&
    (filter.until === undefined || (entry.deadAt !== undefined && entry.deadAt < filter.until))
}

function matchesError(pattern: RegExp, error: ErrorRecord): boolean {
  return pattern.test(error.name) || pattern.test(`${error.name}: ${error.message}`)
}

function glob(pattern: string): RegExp {
  const parts = pattern.split('*').map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`, 's')
}
