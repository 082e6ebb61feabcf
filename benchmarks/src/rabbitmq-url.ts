import { GenericContainer, Wait } from 'testcontainers'

/** Lends the URL of a RabbitMQ: the one given, or else one in a container that ends with `use`. */
export async function withRabbitmq(
  given: string | undefined,
  use: (url: string) => Promise<void>,
): Promise<void> {
  if (given !== undefined) return await use(given)
  process.env.TESTCONTAINERS_RYUK_DISABLED ??= 'true'
  const container = await new GenericContainer('rabbitmq:4-management')
    .withExposedPorts(5672)
    .withWaitStrategy(Wait.forLogMessage(/Server startup complete/))
    .start()
  try {
    await use(`amqp://guest:guest@${container.getHost()}:${container.getMappedPort(5672)}/`)
  } finally {
    await container.stop()
  }
}
