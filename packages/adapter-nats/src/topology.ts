import {
  type Drift,
  DriverError,
  type Source,
  type SubscriptionSpec,
  type TopicSpec,
  type Topology,
} from '@msgloop/core/driver'
import { AckPolicy, DeliverPolicy, DiscardPolicy, RetentionPolicy, StorageType } from '@nats-io/jetstream'
import { LONGEST_DELAY_MS } from './capabilities.js'
import {
  arrivalSubject,
  partitionSubject,
  releasesSubject,
  streamOf,
  subjectOf,
  topicStreamOf,
  topicSubjectOf,
} from './names.js'
import { CONSUMER, type Outlet } from './outlets.js'

/**
 * For how long the server drops a second copy of a moved or released message: what dies between the
 * copy and the ack is handed over again within a lease, and then copied again.
 */
const COPY_WINDOW_MS = 10 * 60_000
/** Receivers of a queue that may wait at once. */
const MOST_WAITING = 2_048

const NANOS = 1_000_000

/** @throws DriverError `UNSUPPORTED` for what `capabilities` deny: dropping duplicates */
export function checked<T extends Topology>(topology: T): T {
  if (topology.kind === 'topic') return topology
  const unsupported = (what: string): DriverError =>
    new DriverError('UNSUPPORTED', `nats: ${shownName(topology)}: ${what}`, { outcome: 'rejected' })
  if (topology.dedupWindowMs > 0)
    throw unsupported(
      'the broker cannot drop duplicates for good: a restart forgets the ids of acked messages',
    )
  return topology
}

/** `queue "orders"`, and the like. */
export const shownName = ({ kind, name }: Pick<Topology, 'kind' | 'name'>): string => `${kind} "${name}"`

/** Fields of a stream's or consumer's configuration, as the server has them. */
export type Settings = Readonly<Record<string, unknown>>

/** No limit but age could drop a message. */
const KEPT = {
  storage: StorageType.File,
  discard: DiscardPolicy.New,
  max_msgs: -1,
  max_bytes: -1,
  max_msg_size: -1,
  max_msgs_per_subject: -1,
}

export const streamSettings = (topology: Topology, prefix: string) =>
  topology.kind === 'topic' ? topicStreamSettings(topology, prefix) : ownStreamSettings(topology, prefix)

/** Of a queue; of a subscription too, for what is moved to it alone. */
function ownStreamSettings(spec: Source, prefix: string) {
  const maxAgeMs = spec.retentionMs === undefined ? 0 : Math.min(spec.retentionMs, LONGEST_DELAY_MS)
  const ordered = {
    subjects: [
      arrivalSubject(prefix, spec.name),
      partitionSubject(prefix, spec.name, '*'),
      releasesSubject(prefix, spec.name, '*'),
    ],
    /** A newer note of releases takes the place of the older. */
    allow_rollup_hdrs: true,
  }
  return {
    name: streamOf(prefix, spec.name),
    ...(spec.order === 'key' ? ordered : { subjects: [subjectOf(prefix, spec.name)] }),
    ...(spec.kind === 'subscription' && { description: describe(spec) }),
    retention: RetentionPolicy.Workqueue,
    ...KEPT,
    max_age: maxAgeMs * NANOS,
    duplicate_window: Math.min(COPY_WINDOW_MS, maxAgeMs || COPY_WINDOW_MS) * NANOS,
  }
}

/** Keeps what somebody is subscribed to, until all of those have acked it. */
const topicStreamSettings = ({ name }: TopicSpec, prefix: string) => ({
  name: topicStreamOf(prefix, name),
  subjects: [topicSubjectOf(prefix, name, '>')],
  retention: RetentionPolicy.Interest,
  ...KEPT,
  max_age: 0,
  duplicate_window: COPY_WINDOW_MS * NANOS,
})

/** Several subscriptions may make the same filters, and one can be read by two names: this tells which it is. */
const describe = ({ topic, patterns }: SubscriptionSpec): string => JSON.stringify({ topic, patterns })

/** `max_deliver` would strand a message in the stream; `backoff` would bend the delays of naks. */
export const CONSUMER_SETTINGS = { ack_policy: AckPolicy.Explicit, max_deliver: -1 }

const servedBy = ({ filter, inTurn, topic }: Outlet) => ({
  ...CONSUMER_SETTINGS,
  ...(filter !== undefined && { filter_subject: filter }),
  /** A topic may still hold, for others, what was published before the subscription was made. */
  deliver_policy: topic ? DeliverPolicy.New : DeliverPolicy.All,
  /** Whatever waits for a delay or a retry counts as not acked: any limit would stop the queue at so many. */
  max_ack_pending: inTurn ? 1 : -1,
})

export const consumerSettings = (outlet: Outlet, { leaseMs }: Pick<Source, 'leaseMs'>) => ({
  ...servedBy(outlet),
  durable_name: outlet.consumer,
  ack_wait: ackWaitMs(leaseMs) * NANOS,
  max_waiting: MOST_WAITING,
})

export const ackWaitMs = (leaseMs: number): number => Math.min(Math.ceil(leaseMs), LONGEST_DELAY_MS)

/** Settings that a consumer of ours has not, and that would change what a queue does. */
const NO_CONSUMER_SETTINGS = off(
  'backoff',
  'deliver_subject',
  'filter_subject',
  'filter_subjects',
  /** Bodies would be missing. */
  'headers_only',
  /** It would be deleted while nobody is there. */
  'inactive_threshold',
  'max_batch',
  'max_bytes',
  'max_expires',
  'pause_until',
)

/** As `NO_CONSUMER_SETTINGS`, of a stream. */
const NO_STREAM_SETTINGS = off(
  /** What is sent would never be confirmed. */
  'no_ack',
  'sealed',
  'deny_delete',
  'deny_purge',
  'mirror',
  'sources',
  'subject_transform',
  'republish',
)

function off(...fields: readonly string[]): Settings {
  return Object.fromEntries(fields.map((field) => [field, undefined]))
}

/** The lease is no setting of a queue: each receiver sets that of its deliveries. */
export const consumerDrifts = (spec: Source, outlet: Outlet, found: Settings): Drift[] =>
  drifts(consumerName(spec, outlet), { ...NO_CONSUMER_SETTINGS, ...servedBy(outlet) }, found)

export const consumerName = (spec: Source, { consumer }: Outlet): string =>
  consumer === CONSUMER ? `consumer of ${shownName(spec)}` : `consumer "${consumer}" of ${shownName(spec)}`

export function streamDrifts(
  topology: Topology,
  prefix: string,
  replicas: number | undefined,
  found: Settings,
): Drift[] {
  const { name: _, ...wanted } = streamSettings(topology, prefix)
  const copies = replicas === undefined ? {} : { num_replicas: replicas }
  return drifts(shownName(topology), { ...NO_STREAM_SETTINGS, ...wanted, ...copies }, found)
}

function drifts(object: string, wanted: Settings, found: Settings): Drift[] {
  const list: Drift[] = []
  for (const [field, value] of Object.entries(wanted)) {
    const expected = shown(value)
    // The server has no zero for what is off; clients write it where they leave it so.
    const actual = shown(value === undefined && found[field] === 0 ? undefined : found[field])
    if (expected !== actual) list.push({ object, field, expected, actual })
  }
  return list
}

/** What is not set comes as nothing, as `false`, or empty, and differs by version. */
const isUnset = (value: unknown): boolean =>
  value === undefined || value === null || value === false || value === ''

function shown(value: unknown): string {
  if (isUnset(value) || (Array.isArray(value) && value.length === 0)) return 'none'
  if (Array.isArray(value)) return value.map(shown).join(', ')
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

export const missing = (object: string, what: string): Drift => ({
  object,
  expected: what,
  actual: 'missing',
})

export function driftError(topology: Topology, found: readonly Drift[]): DriverError {
  const fields = found.map((d) => `${d.field} of ${d.object} is ${d.actual}, wanted ${d.expected}`)
  return new DriverError(
    'DRIFT',
    `${shownName(topology)} exists with other settings: ${fields.join('; ')}; connect with topology: 'verify' or 'none' to adopt it as it is`,
    { outcome: 'rejected' },
  )
}
