import { DriverError, type Failure, systemClock } from '@msgloop/core/driver'
import { LONGEST_DELAY_MS } from './capabilities.js'
import { type Copy, store } from './copies.js'
import { judgeAcked, Round } from './round.js'
import type { Session } from './session.js'
import type { Token } from './token.js'

export const ACK = '+ACK'
export const IN_PROGRESS = '+WPI'
/** Shows the message again after a time; until then it can be acked, so it moves the end of a lease too. */
export const nak = (delayMs: number): string =>
  delayMs > 0 ? `-NAK {"delay":${Math.min(Math.ceil(delayMs), LONGEST_DELAY_MS)}000000}` : '-NAK'

/** What to tell the server about a delivery. */
export interface Order {
  readonly index: number
  readonly token: Token
  readonly payload: string
}

/**
 * Asks the server to act on deliveries, and waits for it to have done so. It asks nothing about a delivery
 * whose lease is over: the server would take the answer for that of whoever has the message now.
 */
export async function ask(
  session: Session,
  orders: readonly Order[],
  signal?: AbortSignal,
): Promise<readonly Failure[]> {
  const now = systemClock.elapsed()
  const live = orders.filter(({ token }) => token.until > now)
  const failures: Failure[] = []
  for (const { index, token } of orders) if (token.until <= now) failures.push({ index, error: leaseLost() })
  const round = new Round(session, live.length, judgeAcked, signal)
  for (const [at, { token, payload }] of live.entries()) round.ask(at, token.ackSubject, payload)
  for (const { index, error } of await round.done) failures.push({ index: live[index]?.index ?? -1, error })
  return failures
}

/** Asks what ends deliveries. */
export async function settle(
  session: Session,
  orders: readonly Order[],
  signal?: AbortSignal,
): Promise<readonly Failure[]> {
  if (orders.length === 0) return []
  const failures = await ask(session, orders, signal)
  const failed = new Set(failures.map(({ index }) => index))
  for (const { index, token } of orders) if (!failed.has(index)) token.settled = true
  return failures
}

/** Stores copies, waits until they are, then acks the originals. */
export async function replace(
  session: Session,
  copies: readonly (Copy & { readonly index: number })[],
  signal?: AbortSignal,
): Promise<readonly Failure[]> {
  if (copies.length === 0) return []
  const failures = (await store(session, copies, signal)).map(({ index: at, error }) => ({
    index: copies[at]?.index ?? -1,
    error,
  }))
  const failed = new Set(failures.map(({ index }) => index))
  const orders = copies.flatMap(({ index, token }) =>
    failed.has(index) ? [] : [{ index, token, payload: ACK }],
  )
  return [...failures, ...(await settle(session, orders, signal))]
}

export const leaseLost = (): DriverError =>
  new DriverError('LEASE_LOST', 'nats: the lease of the delivery is over, or its receiver was closed')
