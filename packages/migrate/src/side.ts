import { MsgloopError, type QueueDefinition } from '@msgloop/core'
import type { Driver, QueueSpec } from '@msgloop/core/driver'
import {
  type Context,
  makeContext,
  type ResolvedQueue,
  resolveDeadLetterQueue,
  resolveQueue,
} from '@msgloop/core/engine'

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

/** A queue and its dead-letter queue, each as a queue of that side. */
export function queuesOn(
  { context }: Side,
  definition: QueueDefinition<unknown>,
): readonly ResolvedQueue<unknown, QueueSpec>[] {
  const work = resolveQueue(context.driver.name, context.driver.capabilities, definition, [])
  return [work, resolveDeadLetterQueue(work)]
}

/** @throws MsgloopError `INVALID` when both are the same broker */
export function assertDifferent(from: Side, to: Side): void {
  if (from.label !== to.label) return
  throw new MsgloopError('INVALID', `both sides are ${from.label}; a migration needs two brokers`)
}
