import { GenericContainer, Wait } from 'testcontainers'

interface Lent {
  readonly image: string
  readonly port: number
  readonly ready: RegExp
  readonly command?: readonly string[]
  readonly url: (host: string, port: number) => string
}

/** The brokers that benchmarks run on where no URL is given; `integration-tests/images` has their images. */
export const BROKERS = {
  rabbitmq: {
    image: 'rabbitmq:4-management',
    port: 5672,
    ready: /Server startup complete/,
    url: (host, port) => `amqp://guest:guest@${host}:${port}/`,
  },
  nats: {
    image: 'nats:2.10',
    port: 4222,
    ready: /Server is ready/,
    command: ['-js', '-sd', '/data'],
    url: (host, port) => `nats://${host}:${port}`,
  },
  redis: {
    image: 'redis:8',
    port: 6379,
    ready: /Ready to accept connections/,
    command: ['redis-server', '--appendonly', 'yes', '--appendfsync', 'everysec'],
    url: (host, port) => `redis://${host}:${port}`,
  },
  sqs: {
    image: 'softwaremill/elasticmq-native:1',
    port: 9324,
    ready: /ElasticMQ server \(.*\) started/,
    url: (host, port) => `sqs+http://bench:bench@${host}:${port}`,
  },
} as const satisfies Readonly<Record<string, Lent>>

/** Lends the URL of a broker: the one given, or else of one in a container that ends with `use`. */
export async function lendBroker(
  name: keyof typeof BROKERS,
  given: string | undefined,
  use: (url: string) => Promise<void>,
): Promise<void> {
  if (given !== undefined) return await use(given)
  process.env.TESTCONTAINERS_RYUK_DISABLED ??= 'true'
  const lent: Lent = BROKERS[name]
  const container = await new GenericContainer(lent.image)
    .withExposedPorts(lent.port)
    .withCommand([...(lent.command ?? [])])
    .withWaitStrategy(Wait.forLogMessage(lent.ready))
    .start()
  try {
    await use(lent.url(container.getHost(), container.getMappedPort(lent.port)))
  } finally {
    await container.stop()
  }
}
