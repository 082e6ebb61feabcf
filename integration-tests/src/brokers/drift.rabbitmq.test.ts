import type { ChannelModel, Options } from 'amqplib'
import { connect } from 'amqplib'
import type { DriftRow } from '../drift-suite.js'
import { describeDrifts } from '../drift-suite.js'
import { startRabbitmq } from '../rabbitmq-server.js'

const NEVER = 2_000_000_000
const DAYS_14 = 14 * 86_400_000

let raw: ChannelModel

async function onChannel(
  use: (channel: Awaited<ReturnType<ChannelModel['createChannel']>>) => Promise<unknown>,
) {
  const channel = await raw.createChannel()
  await use(channel)
  await channel.close()
}

/** The queue as this adapter declares it, but for what is given; `undefined` leaves an argument out. */
const queueWith =
  (differences: Readonly<Record<string, unknown>>, options: Options.AssertQueue = {}) =>
  (name: string) =>
    onChannel((channel) =>
      channel.assertQueue(name, {
        durable: true,
        ...options,
        arguments: {
          'x-queue-type': 'quorum',
          'x-delivery-limit': 400,
          'x-dead-letter-exchange': '',
          'x-dead-letter-routing-key': `${name}.dlq`,
          'x-dead-letter-strategy': 'at-least-once',
          'x-overflow': 'reject-publish',
          ...differences,
        },
      }),
    )

const deadLettersWith = (differences: Readonly<Record<string, unknown>>) => (name: string) =>
  onChannel((channel) =>
    channel.assertQueue(`${name}.dlq`, {
      durable: true,
      arguments: {
        'x-queue-type': 'quorum',
        'x-delivery-limit': NEVER,
        'x-message-ttl': DAYS_14,
        ...differences,
      },
    }),
  )

/** Nothing that classic queues and streams do not take. */
const PLAIN = {
  'x-delivery-limit': undefined,
  'x-dead-letter-strategy': undefined,
  'x-overflow': undefined,
}
const STREAM = { ...PLAIN, 'x-dead-letter-exchange': undefined, 'x-dead-letter-routing-key': undefined }

const topicWith = (type: string, options: Options.AssertExchange) => ({
  wants: (name: string) => ({ topics: [{ topic: name }] }),
  make: (name: string) => onChannel((channel) => channel.assertExchange(name, type, options)),
})

const subscribed = (patterns: readonly string[]) => (name: string) => ({
  topics: [{ topic: name, subscriptions: { mail: { patterns } } }],
})

const is =
  (field: string, actual: string | number | boolean, expected: string | number | boolean) =>
  (name: string): string =>
    `queue "${name}": ${field} is ${actual}, not ${expected}`

const ROWS: readonly DriftRow[] = [
  { what: 'no queue', make: async () => {}, says: (name) => `queue "${name}" is missing` },
  {
    what: 'no dead-letter queue',
    make: queueWith({}),
    says: (name) => `queue "${name}.dlq" is missing`,
  },
  {
    what: 'a classic queue',
    make: queueWith({ ...PLAIN, 'x-queue-type': 'classic' }),
    says: is('x-queue-type', 'classic', 'quorum'),
  },
  {
    what: 'a stream',
    make: queueWith({ ...STREAM, 'x-queue-type': 'stream' }),
    says: is('x-queue-type', 'stream', 'quorum'),
  },
  {
    what: 'a queue that is deleted by itself',
    make: queueWith({ ...PLAIN, 'x-queue-type': 'classic' }, { autoDelete: true }),
    says: is('auto_delete', true, 'none'),
  },
  {
    what: 'another dead-letter exchange',
    make: queueWith({ 'x-dead-letter-exchange': 'amq.fanout' }),
    says: is('x-dead-letter-exchange', 'amq.fanout', ''),
  },
  {
    what: 'no dead-letter exchange',
    make: queueWith({ 'x-dead-letter-exchange': undefined, 'x-dead-letter-routing-key': undefined }),
    says: is('x-dead-letter-exchange', 'none', ''),
  },
  {
    what: 'another dead-letter queue',
    make: queueWith({ 'x-dead-letter-routing-key': 'elsewhere' }),
    says: (name) => `queue "${name}": x-dead-letter-routing-key is elsewhere, not ${name}.dlq`,
  },
  {
    what: 'dead-lettering that can lose',
    make: queueWith({ 'x-dead-letter-strategy': 'at-most-once' }),
    says: is('x-dead-letter-strategy', 'at-most-once', 'at-least-once'),
  },
  {
    what: 'dropping the oldest when full',
    make: queueWith({ 'x-overflow': 'drop-head', 'x-dead-letter-strategy': 'at-most-once' }),
    says: is('x-overflow', 'drop-head', 'reject-publish'),
  },
  {
    what: 'another delivery limit',
    make: queueWith({ 'x-delivery-limit': 7 }),
    says: is('x-delivery-limit', 7, 400),
  },
  {
    what: 'a most of messages',
    make: queueWith({ 'x-max-length': 10 }),
    says: is('x-max-length', 10, 'none'),
  },
  {
    what: 'a most of bytes',
    make: queueWith({ 'x-max-length-bytes': 4096 }),
    says: is('x-max-length-bytes', 4096, 'none'),
  },
  {
    what: 'messages that expire',
    make: queueWith({ 'x-message-ttl': 60_000 }),
    says: is('x-message-ttl', 60_000, 'none'),
  },
  {
    what: 'a queue that expires',
    make: queueWith({ 'x-expires': 600_000 }),
    says: is('x-expires', 600_000, 'none'),
  },
  {
    what: 'one consumer at a time',
    make: queueWith({ 'x-single-active-consumer': true }),
    says: is('x-single-active-consumer', true, 'none'),
  },
  {
    what: 'no order by key where it is wanted',
    options: { order: 'key' },
    make: queueWith({}),
    says: is('order', 'none', 'key'),
  },
  {
    what: 'dead letters that are kept for less',
    make: deadLettersWith({ 'x-message-ttl': 3_600_000 }),
    says: (name) => `queue "${name}.dlq": x-message-ttl is 3600000, not ${DAYS_14}`,
  },
  {
    what: 'dead letters that are dropped after some looks',
    make: deadLettersWith({ 'x-delivery-limit': 20 }),
    says: (name) => `queue "${name}.dlq": x-delivery-limit is 20, not ${NEVER}`,
  },
  {
    what: 'dead letters that are dropped when there are many',
    make: deadLettersWith({ 'x-max-length': 100 }),
    says: (name) => `queue "${name}.dlq": x-max-length is 100, not none`,
  },
  {
    what: 'no topic',
    wants: (name) => ({ topics: [{ topic: name }] }),
    make: async () => {},
    says: (name) => `topic "${name}" is missing`,
  },
  {
    what: 'an exchange of another type',
    ...topicWith('fanout', { durable: true }),
    says: (name) => `topic "${name}": type is fanout, not topic`,
  },
  {
    what: 'an exchange that a restart forgets',
    ...topicWith('topic', { durable: false }),
    says: (name) => `topic "${name}": durable is false, not true`,
  },
  {
    what: 'an exchange that nobody can publish to',
    ...topicWith('topic', { durable: true, internal: true }),
    says: (name) => `topic "${name}": internal is true, not false`,
  },
  {
    what: 'an exchange that is deleted by itself',
    ...topicWith('topic', { durable: true, autoDelete: true }),
    says: (name) => `topic "${name}": auto_delete is true, not false`,
  },
  {
    what: 'a subscription without its queue',
    wants: subscribed(['a.*']),
    after: true,
    make: (name) => onChannel((channel) => channel.deleteQueue(`${name}.mail`)),
    says: (name) => `queue "${name}.mail" is missing`,
  },
]

describeDrifts(
  'RabbitMQ',
  async () => {
    const server = await startRabbitmq('rabbitmq:4-management')
    raw = await connect(server.url())
    return {
      url: server.url(),
      async stop() {
        await raw.close()
        await server.stop()
      },
    }
  },
  ROWS,
)
