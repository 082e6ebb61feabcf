import type { Drift, QueueDefinition, QueueStats } from '@msgloop/core'
import type { Delivery, QueueSpec } from '@msgloop/core/driver'
import { type Held, type ResolvedQueue, take } from '@msgloop/core/engine'
import { misfit } from './misfit.js'
import { counterpart, isThere, queuesOn, type Side } from './side.js'

export interface PlanOptions {
  /** Messages of each queue that are looked at. Default 10 000. */
  readonly sample?: number
  /** Messages a second that the bridge is expected to move, for the expected time. Default 1000. */
  readonly rate?: number
  readonly signal?: AbortSignal
}

/** What is known of one queue, or of its dead letters, before anything is written. */
export interface QueuePlan {
  readonly queue: string
  /** Absent where there is no such queue. */
  readonly source: QueueStats | undefined
  readonly target: QueueStats | undefined
  readonly seen: {
    readonly messages: number
    readonly largestBytes: number
    readonly averageBytes: number
    readonly withKey: number
    readonly foreign: number
  }
  /** Why messages cannot be moved, and how many of those that were seen. */
  readonly misfits: Readonly<Record<string, number>>
  /** What is missing at the target, and will be made, or differs. */
  readonly topology: readonly Drift[]
}

export interface MigrationPlan {
  readonly from: string
  readonly to: string
  readonly queues: readonly QueuePlan[]
  /** What the target does less well, whatever the messages are. */
  readonly losses: readonly string[]
  /** Why it cannot be done as it is. Empty: it can. */
  readonly obstacles: readonly string[]
  readonly expectedSeconds: number
}

const SAMPLE = 10_000
const RATE = 1_000
const CALL_MS = 30_000

/** Looks at both sides; writes nothing, and what it takes to look at goes back in its order. */
export async function makePlan(
  from: Side,
  to: Side,
  definitions: readonly QueueDefinition<unknown>[],
  options: PlanOptions = {},
): Promise<MigrationPlan> {
  const queues: QueuePlan[] = []
  for (const definition of definitions)
    for (const source of await queuesOn(from, definition))
      queues.push(await planQueue(from, to, source, counterpart(to, definition, source), options))
  const depth = queues.reduce(
    (sum, { source, seen }) => sum + (source?.ready ?? seen.messages) + (source?.delayed ?? 0),
    0,
  )
  return {
    from: from.label,
    to: to.label,
    queues,
    losses: lossesBetween(from, to),
    obstacles: queues.flatMap(obstaclesOf),
    expectedSeconds: Math.ceil(depth / (options.rate ?? RATE)),
  }
}

async function planQueue(
  from: Side,
  to: Side,
  source: ResolvedQueue<unknown, QueueSpec>,
  target: ResolvedQueue<unknown, QueueSpec>,
  { sample = SAMPLE, signal }: PlanOptions,
): Promise<QueuePlan> {
  const { name } = source.spec
  const there = await isThere(from, source)
  const topology = await to.context.driver.admin.verify(target.spec, AbortSignal.timeout(CALL_MS))
  const exists = await isThere(to, target)
  const seen = { messages: 0, largestBytes: 0, bytes: 0, withKey: 0, foreign: 0 }
  const misfits: Record<string, number> = {}
  const see = ({ message }: Delivery): void => {
    seen.messages++
    seen.bytes += message.body.byteLength
    seen.largestBytes = Math.max(seen.largestBytes, message.body.byteLength)
    if (message.key !== undefined) seen.withKey++
    if (message.timestamp === 0) seen.foreign++
    const reason = misfit(message, to.context.driver.capabilities)
    if (reason !== undefined) misfits[kindOf(reason)] = (misfits[kindOf(reason)] ?? 0) + 1
  }
  if (there)
    await take(from.context, source, signal, async (batch: readonly Held[]) => {
      for (const { delivery } of batch) see(delivery)
      return seen.messages < sample
    })
  return {
    queue: name,
    source: there
      ? await from.context.driver.admin.stats(source.spec, AbortSignal.timeout(CALL_MS))
      : undefined,
    target: exists
      ? await to.context.driver.admin.stats(target.spec, AbortSignal.timeout(CALL_MS))
      : undefined,
    seen: {
      messages: seen.messages,
      largestBytes: seen.largestBytes,
      averageBytes: seen.messages === 0 ? 0 : Math.round(seen.bytes / seen.messages),
      withKey: seen.withKey,
      foreign: seen.foreign,
    },
    misfits,
    topology,
  }
}

/** Without the numbers of the single message, so that like reasons add up. */
const kindOf = (reason: string): string => reason.replace(/has \d+ /, 'has too many ')

function obstaclesOf({ queue, source, target, topology }: QueuePlan): string[] {
  const found: string[] = []
  if (!source) found.push(`queue "${queue}" does not exist at the source`)
  if (target && (target.ready ?? 0) + (target.delayed ?? 0) > 0)
    found.push(
      `queue "${queue}" is not empty at the target: ${(target.ready ?? 0) + (target.delayed ?? 0)} messages`,
    )
  for (const { object, field, expected, actual } of topology)
    if (field !== undefined) found.push(`${object}: ${field} is ${actual}, not ${expected}`)
  return found
}

function lossesBetween(from: Side, to: Side): string[] {
  const source = from.context.driver.capabilities
  const target = to.context.driver.capabilities
  const less: string[] = []
  const compare = (what: string, before: number, after: number, unit: string): void => {
    if (after < before) less.push(`${what}: ${before} ${unit} at the source, ${after} ${unit} at the target`)
  }
  compare('largest body', source.limits.bodyBytes, target.limits.bodyBytes, 'bytes')
  compare('headers', source.limits.headerCount, target.limits.headerCount, '')
  compare('bytes of headers', source.limits.headerBytes, target.limits.headerBytes, 'bytes')
  compare('longest delay', source.limits.delayMs, target.limits.delayMs, 'ms')
  compare('longest lease', source.limits.leaseMs, target.limits.leaseMs, 'ms')
  compare('window of duplicates', source.dedupWindowMs, target.dedupWindowMs, 'ms')
  if (target.limits.delayResolutionMs > source.limits.delayResolutionMs)
    less.push(
      `delays are rounded up to ${target.limits.delayResolutionMs} ms at the target, ${source.limits.delayResolutionMs} ms at the source`,
    )
  if (source.order !== 'none' && target.order === 'none')
    less.push('order by key is not possible at the target')
  return less
}
