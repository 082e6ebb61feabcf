import { type Failure, partitionOf, type Source } from '@msgloop/core/driver'
import { releasesSubject } from './names.js'
import { nak, type Order, settle } from './orders.js'
import { judgeStored, Round } from './round.js'
import type { Session } from './session.js'
import type { Released, Token } from './token.js'

/** Takes the place of every older message of its subject. */
const ROLLUP = Buffer.from('NATS/1.0\r\nNats-Rollup: sub\r\n\r\n')

/**
 * Gives messages back to their place. As the server counts every hand-over, and a release is no attempt, a note
 * beside the partition says first how many of them were none: it is about one message, the first, which stays the
 * first until it is acked. What dies between note and return has one attempt too few.
 */
export async function release(
  session: Session,
  prefix: string,
  { name }: Source,
  tokens: readonly { readonly index: number; readonly token: Token; readonly seen: boolean }[],
  signal?: AbortSignal,
): Promise<readonly Failure[]> {
  if (tokens.length === 0) return []
  const notes = new Round(session, tokens.length, judgeStored, signal)
  for (const [at, { token, seen }] of tokens.entries()) {
    const note: Released = {
      id: token.origin.id,
      attempts: token.released.attempts + 1,
      deliveries: token.released.deliveries + (seen ? 0 : 1),
    }
    notes.ask(at, noteSubject(prefix, name, token), JSON.stringify(note), ROLLUP)
  }
  const failures = (await notes.done).map(({ index: at, error }) => ({
    index: tokens[at]?.index ?? -1,
    error,
  }))
  const failed = new Set(failures.map(({ index }) => index))
  const orders: Order[] = tokens
    .filter(({ index }) => !failed.has(index))
    .map(({ index, token }) => ({ index, token, payload: nak(0) }))
  return [...failures, ...(await settle(session, orders, signal))]
}

/** Reads what was noted about a message, before anybody sees it. */
export async function recall(
  session: Session,
  prefix: string,
  { name }: Source,
  token: Token,
): Promise<void> {
  const found = await session.api((manager) =>
    manager.streams.getMessage(token.outlet.stream, { last_by_subj: noteSubject(prefix, name, token) }),
  )
  const note = found?.json<Released>()
  if (note?.id === token.origin.id) token.released = note
}

const noteSubject = (prefix: string, queue: string, { decoded: { message } }: Token): string =>
  releasesSubject(prefix, queue, partitionOf(message.key ?? message.id))
