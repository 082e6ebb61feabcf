import { type Failure, untilAborted, type Verdict } from '@msgloop/core/driver'
import { classify, unsent } from './errors.js'
import { queueFor } from './partitions.js'
import type { Publisher } from './publisher.js'
import { prepare, publishTo } from './sender.js'
import type { Token } from './token.js'
import { copyOf, decode } from './wire.js'

/** Opens, or finds open, what copies go out through. */
export type Copies = () => Promise<Publisher>

/** A delivery that is to be stored again: as a retry of itself, or in another queue. */
export interface Copy {
  readonly token: Token
  readonly verdict: Extract<Verdict, { kind: 'retry' | 'move' }>
}

/** Stores copies of deliveries of `queue`; resolves with those that were not confirmed. */
export async function publishCopies(
  open: Copies,
  queue: string,
  copies: readonly Copy[],
  signal: AbortSignal,
): Promise<readonly Failure[]> {
  const publisher = await untilAborted(open(), signal)
  const failures = await publish(publisher, copies, signal, ({ verdict }) =>
    verdict.kind === 'move' ? verdict.to : queue,
  )
  // Nobody says whether the queue that a message moves to has partitions; this finds out.
  const returned = failures.filter(
    ({ index, error }) => copies[index]?.verdict.kind === 'move' && isNowhere(error),
  )
  if (returned.length === 0) return failures
  const again = returned.map(({ index }) => copies[index] as Copy)
  const stillFailed = await publish(publisher, again, signal, ({ token, verdict }) =>
    queueFor(verdict.kind === 'move' ? verdict.to : queue, decode(token.message).message),
  )
  const others = failures.filter((failure) => !returned.includes(failure))
  return [
    ...others,
    ...stillFailed.map(({ index, error }) => ({ index: returned[index]?.index ?? 0, error })),
  ]
}

const isNowhere = (error: unknown): boolean => {
  const { code, outcome } = classify(error)
  return code === 'NOT_FOUND' && outcome === 'rejected'
}

const delayOf = ({ verdict }: Copy): number => (verdict.kind === 'retry' ? verdict.delayMs : 0)

function publish(
  publisher: Publisher,
  copies: readonly Copy[],
  signal: AbortSignal,
  queueOf: (copy: Copy) => string,
): Promise<readonly Failure[]> {
  const delayed = copies.filter((copy) => delayOf(copy) > 0)
  let unprepared: unknown
  const preparation = prepare(
    publisher.session,
    [...new Set(delayed.map(queueOf))],
    Math.max(0, ...delayed.map(delayOf)),
  )?.catch((error: unknown) => {
    unprepared = error
  })
  const now = Date.now()
  const properties = copies.map(({ token, verdict }) => {
    const expiry = verdict.kind === 'move' ? 'none' : verdict.delayMs > 0 ? 'header' : 'direct'
    return copyOf(token.message, verdict.headers, expiry, now)
  })
  const at = (index: number): Copy => copies[index] as Copy
  return publisher.publish(
    {
      size: copies.length,
      id: (index) => String(properties[index]?.messageId),
      bodyBytes: (index) => at(index).token.message.content.byteLength,
      write(channel, index, confirmed) {
        const copy = at(index)
        const delayMs = delayOf(copy)
        if (delayMs > 0 && unprepared !== undefined) throw unsent(unprepared)
        const { content } = copy.token.message
        return publishTo(channel, queueOf(copy), delayMs, content, properties[index] ?? {}, confirmed)
      },
    },
    signal,
    preparation,
  )
}
