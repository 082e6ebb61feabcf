import type { Middleware } from './consumer.js'
import type { Context } from './context.js'
import type { QueueDefinition } from './define-queue.js'
import type { SubscriptionDefinition } from './define-topic.js'
import type { Capabilities, QueueSpec, Source, SubscriptionSpec } from './driver.js'
import { MsgloopError } from './error.js'
import { besideName } from './names.js'
import type { QueueTopology } from './topology-keeper.js'

/** A definition against one broker: checked against its capabilities, with what the driver must have in place. */
export interface ResolvedQueue<T, S extends Source = Source> extends QueueTopology<S> {
  readonly definition: QueueDefinition<T>
  readonly middleware: readonly Middleware[]
  readonly maxLeaseMs: number
  readonly maxDeliveries: number
}

const DEFAULT_MAX_LEASE_MS = 12 * 3_600_000
const DEFAULT_RETENTION_MS = 14 * 86_400_000
/**
 * The broker's own limit lies far above ours: ours must act first, since only ours leaves a record. It is
 * one number for every queue, as brokers do not let it change, and definitions do.
 */
const DELIVERY_LIMIT = 400
/** Hand-overs beyond its attempts that a message has at least. */
const SPARE_DELIVERIES = 10
/** Where every deploy, pause and look counts as a hand-over, many say nothing about a crash. */
const RELEASES_FACTOR = 10

/** @throws MsgloopError `UNSUPPORTED` for what the broker lacks */
export function resolveQueue<T>(
  driverName: string,
  capabilities: Capabilities,
  definition: QueueDefinition<T>,
  middleware: readonly Middleware[],
): ResolvedQueue<T, QueueSpec> {
  const unsupported = (option: string, why: string): never => {
    throw new MsgloopError(
      'UNSUPPORTED',
      `queue "${definition.name}": option "${option}" ${why} on ${driverName}`,
    )
  }
  if (definition.dedupWindowMs > capabilities.dedupWindowMs)
    unsupported(
      'dedup',
      capabilities.dedupWindowMs === 0
        ? 'is not possible'
        : `may be ${capabilities.dedupWindowMs} ms at most`,
    )
  if (definition.order === 'key' && capabilities.order === 'none')
    unsupported('order', `'key' is not possible`)
  const { leaseMs } = capabilities.limits
  if (definition.maxLeaseMs !== undefined && definition.maxLeaseMs > leaseMs)
    unsupported('maxLease', `may be ${leaseMs} ms at most`)
  if (capabilities.lease === 'renewable' && definition.leaseMs > leaseMs)
    unsupported('lease', `may be ${leaseMs} ms at most`)
  const shared = { leaseMs: definition.leaseMs, dedupWindowMs: 0, order: 'none' } as const
  return {
    definition,
    middleware,
    maxDeliveries: definition.maxDeliveries ?? defaultDeliveries(definition, capabilities),
    maxLeaseMs: definition.maxLeaseMs ?? Math.min(DEFAULT_MAX_LEASE_MS, leaseMs),
    spec: {
      ...shared,
      kind: 'queue',
      role: 'work',
      name: definition.name,
      deadLetter: definition.deadLetter,
      deliveryLimit: DELIVERY_LIMIT,
      dedupWindowMs: definition.dedupWindowMs,
      order: definition.order,
      ...(definition.lanes && { lanes: true }),
    },
    deadLetter: {
      ...shared,
      kind: 'queue',
      role: 'dead-letter',
      name: definition.deadLetter,
      retentionMs: definition.deadLetterRetentionMs ?? DEFAULT_RETENTION_MS,
    },
  }
}

function defaultDeliveries(
  { retry }: Pick<QueueDefinition<unknown>, 'retry'>,
  { releaseCounts }: Capabilities,
): number {
  const many = Math.max(10, 3 * retry.attempts) * (releaseCounts ? RELEASES_FACTOR : 1)
  return Math.max(retry.attempts + SPARE_DELIVERIES, Math.min(many, DELIVERY_LIMIT / 2))
}

/** As `resolveQueue`: a subscription is a queue that a topic fills. */
export function resolveSubscription<T>(
  driverName: string,
  capabilities: Capabilities,
  definition: SubscriptionDefinition<T>,
  middleware: readonly Middleware[],
): ResolvedQueue<T, SubscriptionSpec> {
  const resolved = resolveQueue(driverName, capabilities, definition, middleware)
  const { topic, patterns } = definition
  return {
    ...resolved,
    topic: { kind: 'topic', name: topic },
    spec: { ...resolved.spec, kind: 'subscription', topic, patterns },
  }
}

/** The dead-letter queue of a queue or subscription, as a queue: whoever works on dead letters does so at least once. */
export function resolveDeadLetterQueue<T>(source: ResolvedQueue<T>): ResolvedQueue<T, QueueSpec> {
  const spec = source.deadLetter as QueueSpec
  const definition = {
    ...source.definition,
    name: spec.name,
    topic: undefined,
    guarantee: 'at-least-once',
    order: spec.order,
    lanes: false,
  } as const
  return { ...source, definition, spec, deadLetter: undefined, topic: undefined }
}

/** Whether a retry would lose its turn at the broker, so that this process has to wait for it. */
export function retriesHere({ driver }: Context, { spec }: ResolvedQueue<unknown>): boolean {
  return spec.order === 'key' && driver.capabilities.order === 'process'
}

/** A queue that belongs to a dead-letter queue and is like it, but for its name, and how long it keeps a message. */
export function besideDeadLetters<T>(
  dead: ResolvedQueue<T, QueueSpec>,
  name: string,
  retentionMs = dead.spec.retentionMs,
): ResolvedQueue<T, QueueSpec> {
  const spec = { ...dead.spec, name, ...(retentionMs !== undefined && { retentionMs }) }
  return { ...dead, definition: { ...dead.definition, name }, spec }
}

/** Where entries go that were replayed too often. */
export function resolveQuarantine<T>(dead: ResolvedQueue<T, QueueSpec>): ResolvedQueue<T, QueueSpec> {
  return besideDeadLetters(dead, besideName(dead.spec.name, '.quarantine'))
}
