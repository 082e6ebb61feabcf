import { randomUUID } from 'node:crypto'
import type { Queue } from '@msgloop/core'
import { postgresOutbox } from '@msgloop/postgres'
import { connect, defineQueue } from 'msgloop'
import type { PoolClient } from 'pg'
import { Pool } from 'pg'
import { measure, median } from './measure.js'

const BODY = {
  id: 7,
  customer: 'ada@example.com',
  items: Array.from({ length: 10 }, (_, i) => ({ sku: i, price: 9.95 })),
}
const ROUNDS = 5

/** How many messages a second a relay takes from the table to the broker, and for comparison `send` alone. */
export async function outbox(
  url: string,
  database: string,
  count: number,
  print: (line: string) => void,
): Promise<void> {
  const pool = new Pool({ connectionString: database, max: 8 })
  pool.on('error', () => {})
  const broker = await connect(url)
  const queue = broker.queue(defineQueue<typeof BODY>(`bench-outbox-${randomUUID()}`))
  await queue.stats()
  const box = postgresOutbox(pool, { name: `bench-${randomUUID()}` })
  await box.ready()
  const [relayed, sent]: [number[], number[]] = [[], []]
  try {
    for (let round = 0; round <= ROUNDS; round++) {
      const alone = await measure(count, () => sendAll(queue, count))
      await queue.purge()
      await write(pool, (client) => box.send(client, queue, BODY), count)
      const relay = box.relay([queue])
      const through = await measure(count, async () => {
        while (relay.sent < count) await new Promise((resolve) => setTimeout(resolve, 5))
      })
      await relay.close()
      await queue.purge()
      if (round === 0) continue
      relayed.push(through.perSecond)
      sent.push(alone.perSecond)
    }
    print(
      `outbox relay on ${broker.name}: ${median(relayed).toFixed(0)} messages/s ` +
        `(${Math.min(...relayed).toFixed(0)} to ${Math.max(...relayed).toFixed(0)}), one relay; send alone ${median(sent).toFixed(0)}/s`,
    )
  } finally {
    await queue.delete()
    await queue.deadLetters.queue.delete()
    await broker.close()
    await pool.end()
  }
}

async function sendAll(queue: Queue<typeof BODY>, count: number): Promise<void> {
  for (let at = 0; at < count; at += 1_000)
    await Promise.all(Array.from({ length: Math.min(1_000, count - at) }, () => queue.send(BODY)))
}

/** In one transaction. Not measured. */
async function write(
  pool: Pool,
  send: (client: PoolClient) => Promise<string>,
  count: number,
): Promise<void> {
  const client = await pool.connect()
  await client.query('BEGIN')
  for (let each = 0; each < count; each++) await send(client)
  await client.query('COMMIT')
  client.release()
}
