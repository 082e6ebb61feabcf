import { type Drift, DriverError, type QueueSpec, type Topology } from '@msgloop/core/driver'
import { AckPolicy, DeliverPolicy, DiscardPolicy, RetentionPolicy, StorageType } from '@nats-io/jetstream'
import { LONGEST_DELAY_MS } from './capabilities.js'

/** The one consumer of a queue's stream, which all workers share. */
export const CONSUMER = 'msgloop'

/**
 * For how long the server drops a second copy of a moved or released message: what dies between the
 * copy and the ack is handed over again within a lease, and then copied again.
 */
const COPY_WINDOW_MS = 10 * 60_000
/** Receivers of a queue that may wait at once. */
const MOST_WAITING = 2_048

const NANOS = 1_000_000

/** @throws DriverError `UNSUPPORTED` for what `capabilities` deny: topics, order by key, dropping duplicates */
export function asQueue(topology: Topology): QueueSpec {
  const unsupported = (what: string): DriverError =>
    new DriverError('UNSUPPORTED', `nats: ${topology.kind} "${topology.name}": ${what}`, {
      outcome: 'rejected',
    })
  if (topology.kind !== 'queue') throw unsupported('there are no topics here yet')
  if (topology.order !== 'none') throw unsupported('order by key is not possible here yet')
  if (topology.dedupWindowMs > 0)
    throw unsupported(
      'the broker cannot drop duplicates for good: a restart forgets the ids of acked messages',
    )
  return topology
}

/**
 * A queue's name as one token of a subject: what may not be in one, above all the dot, is written `=2E`.
 * Not `%2E`: servers before 2.12 take a percent sign in the name of a stream for a format of theirs, and
 * send ack subjects that the client cannot parse (measured on 2.9.10 and 2.10.27).
 */
export const token = (name: string): string =>
  name.replace(/[^A-Za-z0-9_-]/gu, (char) =>
    [...Buffer.from(char)].map((byte) => `=${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  )

export const streamOf = (prefix: string, queue: string): string => `${prefix}-${token(queue)}`
export const subjectOf = (prefix: string, queue: string): string => `${prefix}.${token(queue)}`

/** Fields of a stream's or consumer's configuration, as the server has them. */
export type Settings = Readonly<Record<string, unknown>>

export function streamSettings(spec: QueueSpec, prefix: string) {
  const maxAgeMs = spec.retentionMs === undefined ? 0 : Math.min(spec.retentionMs, LONGEST_DELAY_MS)
  return {
    name: streamOf(prefix, spec.name),
    subjects: [subjectOf(prefix, spec.name)],
    retention: RetentionPolicy.Workqueue,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    max_age: maxAgeMs * NANOS,
    max_msgs: -1,
    max_bytes: -1,
    max_msg_size: -1,
    max_msgs_per_subject: -1,
    duplicate_window: Math.min(COPY_WINDOW_MS, maxAgeMs || COPY_WINDOW_MS) * NANOS,
  }
}

/** `max_deliver` would strand a message in the stream; `backoff` would bend the delays of naks. */
export const CONSUMER_SETTINGS = {
  ack_policy: AckPolicy.Explicit,
  deliver_policy: DeliverPolicy.All,
  max_deliver: -1,
  /** Whatever waits for a delay or a retry counts as not acked: any limit would stop the queue at so many. */
  max_ack_pending: -1,
}

export const consumerSettings = (spec: QueueSpec) => ({
  ...CONSUMER_SETTINGS,
  durable_name: CONSUMER,
  ack_wait: ackWaitMs(spec.leaseMs) * NANOS,
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
export const consumerDrifts = (spec: QueueSpec, found: Settings): Drift[] =>
  drifts(`consumer of queue "${spec.name}"`, { ...NO_CONSUMER_SETTINGS, ...CONSUMER_SETTINGS }, found)

export function streamDrifts(
  spec: QueueSpec,
  prefix: string,
  replicas: number | undefined,
  found: Settings,
): Drift[] {
  const { name: _, ...wanted } = streamSettings(spec, prefix)
  const copies = replicas === undefined ? {} : { num_replicas: replicas }
  return drifts(`queue "${spec.name}"`, { ...NO_STREAM_SETTINGS, ...wanted, ...copies }, found)
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

export function driftError(queue: string, found: readonly Drift[]): DriverError {
  const fields = found.map((d) => `${d.field} of ${d.object} is ${d.actual}, wanted ${d.expected}`)
  return new DriverError(
    'DRIFT',
    `queue "${queue}" exists with other settings: ${fields.join('; ')}; connect with topology: 'verify' or 'none' to adopt it as it is`,
    { outcome: 'rejected' },
  )
}
