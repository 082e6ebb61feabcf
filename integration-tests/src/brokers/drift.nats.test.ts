import type { ConsumerConfig, JetStreamManager, StreamConfig } from '@nats-io/jetstream'
import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
} from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { connect } from '@nats-io/transport-node'
import type { DriftRow } from '../drift-suite.js'
import { describeDrifts } from '../drift-suite.js'
import { startNats } from '../nats-server.js'

const NANOS = 1_000_000
const WINDOW = 600_000 * NANOS

let connection: NatsConnection
let manager: JetStreamManager

const streamOf = (name: string): string => `msgloop-${name}`

/** The stream as this adapter makes it, but for what is given. */
const streamWith = (differences: Partial<StreamConfig>) => async (name: string) => {
  await manager.streams.add({
    name: streamOf(name),
    subjects: [`msgloop.${name}`],
    retention: RetentionPolicy.Workqueue,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    max_age: 0,
    duplicate_window: WINDOW,
    ...differences,
  })
}

const consumerWith = (differences: Partial<ConsumerConfig>) => async (name: string) => {
  await streamWith({})(name)
  await manager.consumers.add(streamOf(name), {
    durable_name: 'msgloop',
    ack_policy: AckPolicy.Explicit,
    deliver_policy: DeliverPolicy.All,
    ack_wait: 30_000 * NANOS,
    max_deliver: -1,
    max_ack_pending: -1,
    max_waiting: 2_048,
    ...differences,
  })
}

const is =
  (field: string, actual: string | number, expected: string | number) =>
  (name: string): string =>
    `queue "${name}": ${field} is ${actual}, not ${expected}`
const consumerIs =
  (field: string, actual: string | number, expected: string | number) =>
  (name: string): string =>
    `consumer of queue "${name}": ${field} is ${actual}, not ${expected}`

const ROWS: readonly DriftRow[] = [
  { what: 'no stream', make: async () => {}, says: (name) => `queue "${name}" is missing` },
  {
    what: 'no consumer',
    make: streamWith({}),
    says: (name) => `consumer of queue "${name}" is missing`,
  },
  { what: 'no dead-letter stream', make: consumerWith({}), says: (name) => `queue "${name}.dlq" is missing` },
  {
    what: 'a stream that keeps what was handled',
    make: streamWith({ retention: RetentionPolicy.Limits }),
    says: is('retention', 'limits', 'workqueue'),
  },
  {
    what: 'a stream in memory',
    make: streamWith({ storage: StorageType.Memory }),
    says: is('storage', 'memory', 'file'),
  },
  {
    what: 'other subjects',
    make: (name) => streamWith({ subjects: [`other.${name}`] })(name),
    says: (name) => `queue "${name}": subjects is other.${name}, not msgloop.${name}`,
  },
  {
    what: 'messages that expire',
    make: streamWith({ max_age: 3_600_000 * NANOS }),
    says: is('max_age', 3_600_000 * NANOS, 0),
  },
  {
    what: 'a shorter window for copies',
    make: streamWith({ duplicate_window: 1_000 * NANOS }),
    says: is('duplicate_window', 1_000 * NANOS, WINDOW),
  },
  {
    what: 'dropping the oldest when full',
    make: streamWith({ discard: DiscardPolicy.Old }),
    says: is('discard', 'old', 'new'),
  },
  { what: 'a most of messages', make: streamWith({ max_msgs: 1_000 }), says: is('max_msgs', 1_000, -1) },
  { what: 'a most of bytes', make: streamWith({ max_bytes: 65_536 }), says: is('max_bytes', 65_536, -1) },
  {
    what: 'a most of bytes of a message',
    make: streamWith({ max_msg_size: 1_024 }),
    says: is('max_msg_size', 1_024, -1),
  },
  {
    what: 'a most of messages of a subject',
    make: streamWith({ max_msgs_per_subject: 5 }),
    says: is('max_msgs_per_subject', 5, -1),
  },
  {
    what: 'sends that are never confirmed',
    make: streamWith({ no_ack: true }),
    says: is('no_ack', 'true', 'none'),
  },
  {
    what: 'messages that cannot be deleted',
    make: streamWith({ deny_delete: true }),
    says: is('deny_delete', 'true', 'none'),
  },
  {
    what: 'a stream that cannot be purged',
    make: streamWith({ deny_purge: true }),
    says: is('deny_purge', 'true', 'none'),
  },
  {
    what: 'a most of deliveries, which strands messages',
    make: consumerWith({ max_deliver: 7 }),
    says: consumerIs('max_deliver', 7, -1),
  },
  {
    what: 'a most of unsettled messages, which stops the queue',
    make: consumerWith({ max_ack_pending: 100 }),
    says: consumerIs('max_ack_pending', 100, -1),
  },
  {
    what: 'delays of its own',
    make: consumerWith({ backoff: [1_000 * NANOS], max_deliver: 2 }),
    says: consumerIs('backoff', 1_000 * NANOS, 'none'),
  },
  {
    what: 'a filter',
    make: (name) => consumerWith({ filter_subject: `msgloop.${name}` })(name),
    says: (name) => `consumer of queue "${name}": filter_subject is msgloop.${name}, not none`,
  },
  {
    what: 'headers without bodies',
    make: consumerWith({ headers_only: true }),
    says: consumerIs('headers_only', 'true', 'none'),
  },
  {
    what: 'a consumer that is deleted when nobody is there',
    make: consumerWith({ inactive_threshold: 60_000 * NANOS }),
    says: consumerIs('inactive_threshold', 60_000 * NANOS, 'none'),
  },
  {
    what: 'a most of messages at once',
    make: consumerWith({ max_batch: 10 }),
    says: consumerIs('max_batch', 10, 'none'),
  },
]

describeDrifts(
  'NATS JetStream',
  async () => {
    const server = await startNats('nats:2.10')
    connection = await connect({ servers: `${server.host}:${server.port}` })
    manager = await jetstreamManager(connection)
    return {
      url: server.url(),
      async stop() {
        await connection.close()
        await server.stop()
      },
    }
  },
  ROWS,
)
