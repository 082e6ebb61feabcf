import type { Driver } from '@msgloop/core/driver'

/** One adapter: which URLs are its own, and how a driver is made of one. */
export interface Adapter {
  readonly schemes: readonly string[]
  /** What to install when it is missing. */
  readonly package: string
  /** Loads the package on first use. No connection yet. @throws DriverError `INVALID` for a bad URL */
  readonly open: (url: string) => Promise<Driver>
}

/** Every adapter that `connect` knows. Another broker is one more row. */
export const ADAPTERS: readonly Adapter[] = Object.freeze([
  Object.freeze<Adapter>({
    schemes: ['memory:'],
    package: '@msgloop/adapter-memory',
    async open(url) {
      const { memory, parseMemoryUrl } = await import('@msgloop/adapter-memory')
      return memory(parseMemoryUrl(url))
    },
  }),
  Object.freeze<Adapter>({
    schemes: ['amqp:', 'amqps:'],
    package: '@msgloop/adapter-rabbitmq',
    async open(url) {
      const { rabbitmq } = await import('@msgloop/adapter-rabbitmq')
      return rabbitmq({ url })
    },
  }),
  Object.freeze<Adapter>({
    schemes: ['sqs:', 'sqs+http:', 'sqs+https:'],
    package: '@msgloop/adapter-sqs',
    async open(url) {
      const { sqs } = await import('@msgloop/adapter-sqs')
      return sqs({ url })
    },
  }),
  Object.freeze<Adapter>({
    schemes: ['nats:', 'tls:'],
    package: '@msgloop/adapter-nats',
    async open(url) {
      const { nats } = await import('@msgloop/adapter-nats')
      return nats({ url })
    },
  }),
  Object.freeze<Adapter>({
    schemes: ['redis:', 'rediss:', 'redis+cluster:', 'rediss+cluster:'],
    package: '@msgloop/adapter-redis-streams',
    async open(url) {
      const { redisStreams } = await import('@msgloop/adapter-redis-streams')
      return redisStreams({ url })
    },
  }),
])
