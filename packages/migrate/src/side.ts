import { MsgloopError, type QueueDefinition } from '@msgloop/core'
import type { Driver, QueueSpec } from '@msgloop/core/driver'
import {
  type Context,
  makeContext,
  type ResolvedQueue,
  resolveDeadLetterQueue,
  resolveQuarantine,
  resolveQueue,
} from '@msgloop/core/engine'

const CALL_MS = 30_000

/** One of the two brokers of a migration. */
export interface Side {
  readonly context: Context
  /** Name and address, for people and for the state file. */
  readonly label: string
}

export function sideOf(driver: Driver, topology: 'declare' | 'none'): Side {
  const context = makeContext(driver, { topology }, { assertOpen() {}, assertSending() {} })
  return { context, label: `${driver.name} at ${driver.address}` }
}

/**
 * A queue, its dead-letter queue, and its quarantine where there is one, each as a queue of that side. The first two
 * are there whether the broker has them or not: that is for others to find.
 */
export async function queuesOn(
  side: Side,
  definition: QueueDefinition<unknown>,
): Promise<readonly ResolvedQueue<unknown, QueueSpec>[]> {
  const { driver } = side.context
  const work = resolveQueue(driver.name, driver.capabilities, definition, [])
  const dead = resolveDeadLetterQueue(work)
  const quarantine = resolveQuarantine(dead)
  return (await isThere(side, quarantine)) ? [work, dead, quarantine] : [work, dead]
}

/** The same queue, as one of the other side. */
export function counterpart(
  { context: { driver } }: Side,
  definition: QueueDefinition<unknown>,
  { spec }: ResolvedQueue<unknown, QueueSpec>,
): ResolvedQueue<unknown, QueueSpec> {
  const work = resolveQueue(driver.name, driver.capabilities, definition, [])
  const dead = resolveDeadLetterQueue(work)
  const all = [work, dead, resolveQuarantine(dead)]
  const found = all.find((each) => each.spec.name === spec.name)
  if (!found) throw new MsgloopError('INVALID', `queue "${spec.name}" has no counterpart on ${driver.name}`)
  return found
}

export async function isThere(
  { context }: Side,
  { spec }: ResolvedQueue<unknown, QueueSpec>,
): Promise<boolean> {
  const drifts = await context.driver.admin.verify(spec, AbortSignal.timeout(CALL_MS))
  return !drifts.some(({ object, field }) => field === undefined && object.startsWith(`queue "${spec.name}"`))
}

/** @throws MsgloopError `INVALID` when both are the same broker */
export function assertDifferent(from: Side, to: Side): void {
  if (from.label !== to.label) return
  throw new MsgloopError('INVALID', `both sides are ${from.label}; a migration needs two brokers`)
}
