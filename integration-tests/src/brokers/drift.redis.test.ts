import type { Redis } from 'ioredis'
import type { DriftRow } from '../drift-suite.js'
import { describeDrifts } from '../drift-suite.js'
import { startRedis } from '../redis-server.js'

let raw: Redis

const keyOf = (name: string): string => `msgloop:{${name.replace(/\.dlq$/, '')}}:${name}`

/** Changes one setting of a queue that was declared as it should be. */
const settingIs = (field: string, value: string, queue: (name: string) => string = (name) => name) =>
  ({
    after: true,
    make: (name: string) => raw.hset(`${keyOf(queue(name))}:settings`, field, value),
  }) as const

const is =
  (field: string, actual: string, expected: string) =>
  (name: string): string =>
    `queue "${name}": ${field} is ${actual}, not ${expected}`

const subscribed = (name: string) => ({
  topics: [{ topic: name, subscriptions: { mail: { patterns: ['a.*'] } } }],
})
const subscriptionKey = (name: string): string => `msgloop:{${name}}:${name}.mail`
const routesKey = (name: string): string => `msgloop:{${name}}:${name}:routes`

const ROWS: readonly DriftRow[] = [
  { what: 'no queue', make: async () => {}, says: (name) => `queue "${name}" is missing` },
  {
    what: 'no dead-letter queue',
    after: true,
    make: (name) => raw.del(`${keyOf(`${name}.dlq`)}:settings`),
    says: (name) => `queue "${name}.dlq" is missing`,
  },
  {
    what: 'no consumer group',
    after: true,
    make: (name) => raw.xgroup('DESTROY', keyOf(name), 'msgloop'),
    says: (name) => `consumer group of queue "${name}" is missing`,
  },
  {
    what: 'no stream',
    after: true,
    make: (name) => raw.del(keyOf(name)),
    says: (name) => `consumer group of queue "${name}" is missing`,
  },
  {
    what: 'a list where the stream should be',
    make: (name) => raw.rpush(keyOf(name), 'job'),
    says: is('type of stream', 'list', 'stream'),
  },
  {
    what: 'text where the settings should be',
    make: (name) => raw.set(`${keyOf(name)}:settings`, 'on'),
    says: is('type of settings', 'string', 'hash'),
  },
  {
    what: 'a list where the delayed messages should be',
    make: (name) => raw.rpush(`${keyOf(name)}:delayed`, 'job'),
    says: is('type of delayed', 'list', 'zset'),
  },
  {
    what: 'a set where the leases should be',
    make: (name) => raw.sadd(`${keyOf(name)}:leases`, 'job'),
    says: is('type of leases', 'set', 'zset'),
  },
  { what: 'another role', ...settingIs('role', 'dead-letter'), says: is('role', 'dead-letter', 'work') },
  {
    what: 'another dead-letter queue',
    ...settingIs('deadLetter', 'elsewhere'),
    says: (name) => `queue "${name}": deadLetter is elsewhere, not ${name}.dlq`,
  },
  {
    what: 'another delivery limit',
    ...settingIs('deliveryLimit', '7'),
    says: is('deliveryLimit', '7', '400'),
  },
  {
    what: 'another window for duplicates',
    ...settingIs('dedupWindowMs', '60000'),
    says: is('dedupWindowMs', '60000', '0'),
  },
  {
    what: 'dead letters that are kept for less',
    ...settingIs('retentionMs', '1000', (name) => `${name}.dlq`),
    says: (name) => `queue "${name}.dlq": retentionMs is 1000, not ${14 * 86_400_000}`,
  },
  {
    what: 'a queue that forgets',
    ...settingIs('retentionMs', '1000'),
    says: is('retentionMs', '1000', 'none'),
  },
  {
    what: 'no topic',
    wants: (name) => ({ topics: [{ topic: name }] }),
    make: async () => {},
    says: (name) => `topic "${name}" is missing`,
  },
  {
    what: 'a subscription that its topic does not know of',
    wants: subscribed,
    after: true,
    make: (name) => raw.hdel(routesKey(name), `${name}.mail`),
    says: (name) => `binding of subscription "${name}.mail" is missing`,
  },
  {
    what: 'a topic that fills a subscription by other patterns',
    wants: subscribed,
    after: true,
    make: (name) => raw.hset(routesKey(name), `${name}.mail`, 'b.*'),
    says: (name) => `binding of subscription "${name}.mail": patterns is b.*, not a.*`,
  },
  {
    what: 'a subscription to other patterns',
    wants: subscribed,
    after: true,
    make: (name) => raw.hset(`${subscriptionKey(name)}:settings`, 'patterns', 'b.*'),
    says: (name) => `subscription "${name}.mail": patterns is b.*, not a.*`,
  },
]

describeDrifts(
  'Redis',
  async () => {
    const server = await startRedis('redis:8')
    raw = server.client()
    return {
      url: server.url(),
      async stop() {
        raw.disconnect()
        await server.stop()
      },
    }
  },
  ROWS,
)
