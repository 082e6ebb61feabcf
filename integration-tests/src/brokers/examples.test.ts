import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ALL_BROKERS } from '../all-brokers.js'
import type { PostgresServer } from '../postgres-server.js'
import { startPostgres } from '../postgres-server.js'

const run = promisify(execFile)
const path = (example: string): string =>
  fileURLToPath(new URL(`../../../examples/${example}/dist/main.js`, import.meta.url))
const EXAMPLES = {
  payments: /40 payments on .*40000 cents of 40000: balanced/,
  stock: /40 orders .*: balanced/,
}

describe('examples', () => {
  let database: PostgresServer
  beforeAll(async () => {
    database = await startPostgres()
  })
  afterAll(async () => {
    await database?.stop()
  })

  const balances = async (example: keyof typeof EXAMPLES, url: string): Promise<void> => {
    const env = { ...process.env, DATABASE_URL: database.url(), QUEUE_URL: url }
    const { stdout } = await run(process.execPath, [path(example)], { env, timeout: 100_000 })
    expect(stdout).toMatch(EXAMPLES[example])
  }

  for (const example of Object.keys(EXAMPLES) as (keyof typeof EXAMPLES)[]) {
    test(`${example} on the embedded broker`, () => balances(example, 'memory:'))
    test.each(Object.entries(ALL_BROKERS))(`${example} on %s`, async (_name, start) => {
      const server = await start()
      try {
        await balances(example, server.url())
      } finally {
        await server.stop()
      }
    })
  }
})
