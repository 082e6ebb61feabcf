import { Client } from 'pg'
import type { BrokerContainer } from './broker-container.js'
import { startContainer } from './broker-container.js'
import type { Endpoint } from './tcp-proxy.js'

export const POSTGRES_IMAGES = ['postgres:17', 'postgres:15'] as const

const USER = { user: 'postgres', password: 's3cret-of-postgres', database: 'postgres' } as const

export interface PostgresServer extends BrokerContainer {
  url(through?: Endpoint): string
}

/** A real PostgreSQL. `settings`: as `-c` takes them, `fsync=off` */
export async function startPostgres(
  image: string = POSTGRES_IMAGES[0],
  settings: readonly string[] = [],
): Promise<PostgresServer> {
  const url = ({ host, port }: Endpoint): string =>
    `postgres://${USER.user}:${USER.password}@${host}:${port}/${USER.database}`
  const container = await startContainer({
    image,
    port: 5432,
    ready: /database system is ready to accept connections/,
    environment: { POSTGRES_PASSWORD: USER.password },
    command: ['postgres', ...settings.flatMap((each) => ['-c', each])],
    async probe(endpoint) {
      const client = new Client({ connectionString: url(endpoint), connectionTimeoutMillis: 2_000 })
      client.on('error', () => {})
      try {
        await client.connect()
        await client.query('SELECT 1')
      } finally {
        await client.end().catch(() => {})
      }
    },
  })
  return { ...container, url: (through = container) => url(through) }
}
