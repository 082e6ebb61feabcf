import { BOOK_HEADERS, type Failure } from '@msgloop/core/driver'
import { judgeStored, Round } from './round.js'
import type { Session } from './session.js'
import type { Token } from './token.js'
import { DEATH_HEADER, DEDUP_HEADER, delayed, encode, type Headers, withBooks } from './wire.js'

/** A message that is to be stored again, before the original is taken off. */
export interface Copy {
  readonly token: Token
  readonly subject: string
  /** Headers as the wire has them. */
  readonly lines: Uint8Array
}

/** For another queue, with other bookkeeping, without expiry. */
export const movedTo = (token: Token, subject: string, books: Readonly<Headers>): Copy => ({
  token,
  subject,
  lines: encode(withBooks(token.decoded.message, books), { [DEDUP_HEADER]: token.copyId }),
})

/**
 * For the same queue: as the server counts every hand-over, and a release is no attempt, the copy says where
 * the count went on. `seen` is whether the core was given it.
 */
export function givenBack(token: Token, subject: string, seen: boolean, delayMs = 0): Copy {
  const { message } = token.decoded
  const headers = {
    ...message.headers,
    [BOOK_HEADERS.attempt]: String(token.attempt),
    [BOOK_HEADERS.deliveries]: String(token.deliveries - (seen ? 0 : 1)),
  }
  return {
    token,
    subject,
    lines: encode({ ...message, headers }, { ...delayed(delayMs), [DEDUP_HEADER]: token.copyId }),
  }
}

/** For the place that it is handed over at, as if it had been sent there. */
export const fed = (token: Token, subject: string, delayMs: number): Copy => ({
  token,
  subject,
  lines: encode(token.decoded.message, { ...delayed(delayMs), [DEDUP_HEADER]: token.copyId }),
})

/** What the broker's own dead-lettering would do, if it had one: no record but whence and when. */
export function buried(token: Token, subject: string, source: string): Copy {
  const { message } = token.decoded
  const { [BOOK_HEADERS.attempt]: _, ...kept } = message.headers
  const headers = { ...kept, [BOOK_HEADERS.deliveries]: String(token.deliveries) }
  return {
    token,
    subject,
    lines: encode(
      { ...message, headers, expiresAt: undefined },
      { [DEATH_HEADER]: `${source} ${Date.now()}`, [DEDUP_HEADER]: token.copyId },
    ),
  }
}

/** Stores copies. The server drops one that it has stored already, and says so as if it had stored it. */
export function store(
  session: Session,
  copies: readonly Copy[],
  signal?: AbortSignal,
): Promise<readonly Failure[]> {
  const round = new Round(session, copies.length, judgeStored, signal)
  for (const [index, { token, subject, lines }] of copies.entries())
    round.ask(index, subject, token.decoded.message.body, lines)
  return round.done
}
