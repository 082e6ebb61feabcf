import { randomUUID } from 'node:crypto'
import { memory } from '@msgloop/adapter-memory'
import type { Queue } from '@msgloop/core'
import { createBroker, defineQueue, MsgloopError } from '@msgloop/core'
import type { PostgresOutbox } from '@msgloop/postgres'
import { postgresOutbox } from '@msgloop/postgres'
import type { Pool, PoolClient } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { PostgresBed } from '../postgres-bed.js'
import type { PostgresServer } from '../postgres-server.js'
import { startPostgres } from '../postgres-server.js'

/** More than SQS takes, and less than the broker it was prepared for. */
const TOO_LARGE = 'x'.repeat(700_000)

let server: PostgresServer
let bed: PostgresBed
let pool: Pool
let outbox: PostgresOutbox<PoolClient>
/** What the application writes for, and what its relay sends to: a broker that was exchanged meanwhile. */
let written: Queue<string>
let sentTo: Queue<string>
let troubles: unknown[]

beforeAll(async () => {
  server = await startPostgres()
})
afterAll(async () => {
  await server?.stop()
})
beforeEach(async () => {
  bed = await PostgresBed.open(server)
  pool = bed.pool()
  outbox = postgresOutbox(pool)
  await outbox.ready()
  troubles = []
  written = bed.queue<string>('mails')
  const small = createBroker(memory({ name: randomUUID(), emulate: 'sqs' }))
  sentTo = bed.closes(small).queue(defineQueue<string>('mails'))
})
afterEach(async () => {
  await bed.close()
})

const PATIENT = { timeout: 30_000 }

async function write(rows: readonly (readonly [string, string, string?])[]): Promise<void> {
  const client = await pool.connect()
  await client.query('BEGIN')
  for (const [id, body, key] of rows) await outbox.send(client, written, body, { id, ...(key && { key }) })
  await client.query('COMMIT')
  client.release()
}

test('a row that the broker refuses is kept with its error, and holds up its own key alone', async () => {
  const arrived: string[] = []
  bed.closes(sentTo.consume((_body, { id }) => void arrived.push(id)))
  await write([
    ['a1', 'fine', 'a'],
    ['bad', TOO_LARGE, 'a'],
    ['a2', 'fine', 'a'],
    ['b1', 'fine', 'b'],
    ['loose', 'fine'],
    ['bad-loose', TOO_LARGE],
  ])
  const relay = () =>
    bed.closes(outbox.relay([sentTo], { poll: '100ms', onError: (error) => void troubles.push(error) }))
  const first = relay()
  await expect.poll(() => [...arrived].sort(), PATIENT).toEqual(['a1', 'b1', 'loose'])
  await expect.poll(() => outbox.stats(), PATIENT).toMatchObject({ waiting: 1, refused: 2 })
  expect(await outbox.refused()).toMatchObject([
    { id: 'bad', destination: 'queue:mails', error: expect.stringMatching(/at most 688128/) },
    { id: 'bad-loose' },
  ])
  expect(troubles.every((error) => error instanceof MsgloopError && error.code === 'TOO_LARGE')).toBe(true)

  // What comes later for that key waits, too, also for a relay that never saw the refusal.
  await first.close()
  relay()
  await write([
    ['a3', 'fine', 'a'],
    ['b2', 'fine', 'b'],
  ])
  await expect.poll(() => arrived.includes('b2'), PATIENT).toBe(true)
  expect(arrived).not.toContain('a3')

  expect(await outbox.remove(['bad', 'no such id'])).toBe(1)
  await expect.poll(() => arrived.filter((id) => id.startsWith('a')), PATIENT).toEqual(['a1', 'a2', 'a3'])
})

test('a refused row can be sent again', async () => {
  await write([
    ['bad', TOO_LARGE, 'a'],
    ['next', 'fine', 'a'],
  ])
  const failing = outbox.relay([sentTo], { poll: '100ms', onError: () => {} })
  await expect.poll(() => outbox.stats(), PATIENT).toMatchObject({ refused: 1 })
  await failing.close()
  expect(await outbox.retry(['bad'])).toBe(1)
  const arrived: string[] = []
  bed.closes(written.consume((_body, { id }) => void arrived.push(id)))
  bed.closes(outbox.relay([written], { poll: '100ms' }))
  await expect.poll(() => arrived, PATIENT).toEqual(['bad', 'next'])
})

test('a destination that takes nothing holds up no other', async () => {
  const closed = createBroker(memory({ name: randomUUID() }))
  const dead = closed.queue(defineQueue<string>('dead'))
  await closed.close()
  const client = await pool.connect()
  await client.query('BEGIN')
  const name = bed.queue<string>('dead')
  for (let n = 0; n < 50; n++) await outbox.send(client, name, 'never')
  await outbox.send(client, written, 'fine', { id: 'fine' })
  await client.query('COMMIT')
  client.release()
  bed.closes(outbox.relay([dead, sentTo], { batch: 10, poll: '50ms', onError: () => {} }))
  const [mail] = await sentTo.receive({ wait: '20s' })
  expect(mail?.id).toBe('fine')
  await mail?.ack()
  expect(await outbox.stats()).toMatchObject({ waiting: 50, refused: 0 })
})
