import { GenericContainer, Wait } from 'testcontainers'

/** Lends the URL of a PostgreSQL: that of `DATABASE_URL`, or else of one in a container that ends with `use`. */
export async function lendPostgres(use: (url: string) => Promise<void>): Promise<void> {
  const given = process.env.DATABASE_URL
  if (given !== undefined) return await use(given)
  process.env.TESTCONTAINERS_RYUK_DISABLED ??= 'true'
  const container = await new GenericContainer('postgres:17')
    .withExposedPorts(5432)
    .withEnvironment({ POSTGRES_PASSWORD: 'bench' })
    .withWaitStrategy(Wait.forLogMessage(/database system is ready to accept connections/))
    .start()
  try {
    await use(`postgres://postgres:bench@${container.getHost()}:${container.getMappedPort(5432)}/postgres`)
  } finally {
    await container.stop()
  }
}
