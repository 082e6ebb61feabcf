import type { PostgresOutbox } from '@msgloop/postgres'
import { postgresOutbox } from '@msgloop/postgres'
import type { Pool, PoolClient } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { PostgresBed } from '../postgres-bed.js'
import type { PostgresServer } from '../postgres-server.js'
import { startPostgres } from '../postgres-server.js'

let server: PostgresServer
let bed: PostgresBed
let pool: Pool
let outbox: PostgresOutbox<PoolClient>

beforeAll(async () => {
  server = await startPostgres()
})
afterAll(async () => {
  await server?.stop()
})
beforeEach(async () => {
  bed = await PostgresBed.open(server)
  pool = bed.pool({ max: 30 })
  outbox = postgresOutbox(pool)
  await outbox.ready()
})
afterEach(async () => {
  await bed.close()
})

const PATIENT = { timeout: 30_000 }

/** Runs `work` in a transaction of the application's. */
async function inTransaction(work: (tx: PoolClient) => Promise<void>): Promise<void> {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    await work(client)
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  } finally {
    client.release()
  }
}

/** Waits until nothing is left to be sent. */
async function relayed(): Promise<void> {
  await expect.poll(async () => (await outbox.stats()).waiting, PATIENT).toBe(0)
}

describe('the outbox', () => {
  test('sends what was committed, as it was given, and nothing that was rolled back', async () => {
    const queue = bed.queue('mails')
    await expect(
      inTransaction(async (tx) => {
        await outbox.send(tx, queue, { lost: true })
        throw new Error('rolled back')
      }),
    ).rejects.toThrow('rolled back')
    let id = ''
    await inTransaction(async (tx) => {
      id = await outbox.send(
        tx,
        queue,
        { to: 'ada' },
        {
          key: 'a\0b ✓',
          headers: { tenant: 'x', text: 'ü\0' },
          type: 'mail',
          correlationId: 'c',
        },
      )
    })
    bed.closes(outbox.relay([queue]))
    const [mail] = await queue.receive({ wait: '20s' })
    expect(mail).toMatchObject({
      id,
      body: { to: 'ada' },
      key: 'a\0b ✓',
      headers: { tenant: 'x', text: 'ü\0' },
      type: 'mail',
      correlationId: 'c',
    })
    await mail?.ack()
    await relayed()
    expect(await queue.receive({ wait: '100ms' })).toEqual([])
  })

  test('checks a message before it writes it: the transaction goes on', async () => {
    const queue = bed.queue('mails')
    await inTransaction(async (tx) => {
      await expect(outbox.send(tx, queue, {}, { headers: { 'msgloop-x': '1' } })).rejects.toMatchObject({
        code: 'INVALID',
        outcome: 'rejected',
      })
      await expect(outbox.send(tx, queue, 'x'.repeat(20_000_000))).rejects.toMatchObject({
        code: 'TOO_LARGE',
      })
      await outbox.send(tx, queue, {})
    })
    expect(await outbox.stats()).toMatchObject({ waiting: 1, refused: 0 })
  })

  test('publishes to topics', async () => {
    const topic = bed.broker().topic<{ n: number }>('orders')
    const subscription = topic.subscription('billing', { patterns: ['order.#'] })
    await subscription.create()
    await inTransaction(async (tx) => {
      await outbox.publish(tx, topic, 'order.created', { n: 1 })
      await expect(outbox.publish(tx, topic, 'not a subject', { n: 2 })).rejects.toMatchObject({
        code: 'INVALID',
      })
    })
    bed.closes(outbox.relay([topic]))
    const [event] = await subscription.receive({ wait: '20s' })
    expect(event?.body).toEqual({ n: 1 })
    await event?.ack()
  })

  test('a relay is woken by a commit, and by polling where nobody notifies it', async () => {
    const queue = bed.queue('mails')
    const relay = bed.closes(outbox.relay([queue], { poll: '1h' }))
    // Its first looks are over when it has sent something.
    await inTransaction(async (tx) => void (await outbox.send(tx, queue, 1)))
    await expect.poll(() => relay.sent, PATIENT).toBe(1)
    await inTransaction(async (tx) => void (await outbox.send(tx, queue, 2)))
    await expect.poll(() => relay.sent, PATIENT).toBe(2)
    await relay.close()

    const deaf = postgresOutbox(pool, { name: 'deaf' })
    await inTransaction(async (tx) => void (await deaf.send(tx, queue, 3)))
    await pool.query("UPDATE msgloop.outbox SET outbox = 'default'")
    const polling = bed.closes(outbox.relay([queue], { poll: '100ms' }))
    await expect.poll(() => polling.sent, PATIENT).toBe(1)
    await inTransaction(async (tx) => void (await deaf.send(tx, queue, 4)))
    await pool.query("UPDATE msgloop.outbox SET outbox = 'default'")
    await expect.poll(() => polling.sent, PATIENT).toBe(2)
  })

  test('a listener that lost its server listens again', async () => {
    const queue = bed.queue('mails')
    const relay = bed.closes(outbox.relay([queue], { poll: '1h', onError: () => {} }))
    const listening =
      "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
    const pid = async () => (await pool.query(listening)).rows[0]?.pid
    await expect.poll(pid, PATIENT).toBeDefined()
    const first = await pid()
    await pool.query('SELECT pg_terminate_backend($1)', [first])
    await expect.poll(async () => ![undefined, first].includes(await pid()), PATIENT).toBe(true)
    await inTransaction(async (tx) => void (await outbox.send(tx, queue, 1)))
    await expect.poll(() => relay.sent, PATIENT).toBe(1)
  })

  test('relays share the work and send nothing twice, and keys keep their order', {
    timeout: 120_000,
  }, async () => {
    const [KEYS, EACH, LOOSE] = [10, 20, 200]
    const queue = bed.queue<{ key: number; n: number }>('events')
    const arrived: string[] = []
    const orders = new Map<number, number[]>()
    const consumer = bed.closes(
      bed.queue<{ key: number; n: number }>('events').consume(
        ({ key, n }, { id }) => {
          arrived.push(id)
          if (key >= 0) orders.set(key, [...(orders.get(key) ?? []), n])
        },
        { concurrency: 1 },
      ),
    )
    await consumer.ready
    const relays = [1, 2, 3].map(() =>
      bed.closes(
        postgresOutbox(bed.pool({ max: 5 })).relay([bed.queue('events')], {
          batch: 7,
          workers: 2,
          poll: '100ms',
        }),
      ),
    )
    for (let n = 0; n < EACH; n++)
      await inTransaction(async (tx) => {
        for (let key = 0; key < KEYS; key++) await outbox.send(tx, queue, { key, n }, { key: `${key}` })
        for (let loose = 0; loose < LOOSE / EACH; loose++) await outbox.send(tx, queue, { key: -1, n })
      })
    const all = KEYS * EACH + Math.ceil(LOOSE / EACH) * EACH
    await expect.poll(() => arrived.length, { timeout: 60_000 }).toBeGreaterThanOrEqual(all)
    await relayed()
    expect(new Set(arrived).size).toBe(all)
    expect(arrived.length, 'nobody was killed, so nothing comes twice').toBe(all)
    await expect.poll(() => relays.reduce((sum, { sent }) => sum + sent, 0), PATIENT).toBe(all)
    for (const { sent } of relays) expect(sent).toBeGreaterThan(0)
    const inOrder = Array.from({ length: EACH }, (_, n) => n)
    for (let key = 0; key < KEYS; key++) expect(orders.get(key), `key ${key}`).toEqual(inOrder)
  })

  test('a relay whose connection dies half way loses nothing: what it sent comes again under its id', async () => {
    const queue = bed.queue<number>('numbers')
    await inTransaction(async (tx) => {
      for (let n = 0; n < 600; n++) await outbox.send(tx, queue, n)
    })
    const seen = new Map<number, Set<string>>()
    bed.closes(
      bed
        .queue<number>('numbers')
        .consume((n, { id }) => void seen.set(n, (seen.get(n) ?? new Set()).add(id))),
    )
    bed.closes(outbox.relay([queue], { batch: 50, onError: () => {} }))
    const busy = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid() AND state LIKE 'idle in%' LIMIT 1`
    for (let kill = 0; kill < 10; kill++) await pool.query(busy)
    await expect.poll(() => seen.size, PATIENT).toBe(600)
    await relayed()
    for (const [n, ids] of seen) expect(ids.size, `ids of ${n}`).toBe(1)
  })

  test('a delay counts from the send, not from the relay', async () => {
    const queue = bed.queue('later')
    await inTransaction(async (tx) => {
      await outbox.send(tx, queue, 'soon', { delay: '1s' })
      await outbox.send(tx, queue, 'much later', { delay: '1h' })
    })
    await new Promise((resolve) => setTimeout(resolve, 1_100))
    bed.closes(outbox.relay([queue]))
    await relayed()
    const [first] = await queue.receive({ wait: '500ms' })
    expect(first?.body).toBe('soon')
    await first?.ack()
    expect(await queue.stats()).toMatchObject({ ready: 0, delayed: 1 })
  })

  test('tells depth and lag', async () => {
    const queue = bed.queue('mails')
    expect(await outbox.stats()).toEqual({ waiting: 0, refused: 0, lagMs: undefined })
    await inTransaction(async (tx) => void (await outbox.send(tx, queue, 1)))
    await pool.query("UPDATE msgloop.outbox SET written_at = written_at - interval '1 minute'")
    const { waiting, lagMs } = await outbox.stats()
    expect(waiting).toBe(1)
    expect(lagMs).toBeGreaterThan(59_000)
    expect(lagMs).toBeLessThan(120_000)
  })

  test('keeps what was sent as long as it is told, and then deletes it in batches', {
    timeout: 60_000,
  }, async () => {
    const keeping = postgresOutbox(pool, { keepSent: '1d' })
    const queue = bed.queue('mails')
    await inTransaction(async (tx) => {
      for (let n = 0; n < 1_500; n++) await keeping.send(tx, queue, n)
    })
    const relay = bed.closes(keeping.relay([queue]))
    await expect.poll(() => relay.sent, PATIENT).toBe(1_500)
    await relay.close()
    const kept = async () =>
      Number((await pool.query("SELECT count(*) FROM msgloop.outbox WHERE state = 'sent'")).rows[0].count)
    expect(await kept()).toBe(1_500)
    await pool.query("UPDATE msgloop.outbox SET sent_at = sent_at - interval '2 days' WHERE seq % 10 > 0")
    bed.closes(keeping.relay([queue], { poll: '100ms' }))
    // A relay prunes when it starts, and then each minute.
    await inTransaction(async (tx) => void (await keeping.send(tx, queue, 'one more')))
    const again = bed.closes(postgresOutbox(pool, { keepSent: '1d' }).relay([queue], { poll: '100ms' }))
    await expect.poll(kept, PATIENT).toBeLessThanOrEqual(151)
    await again.close()
  })

  test('refuses bad options before any I/O', () => {
    expect(() => postgresOutbox(pool, { name: '' })).toThrow(/"name"/)
    expect(() => postgresOutbox(pool, { schema: 'Drop table' })).toThrow(/schema name/)
    expect(() => postgresOutbox(pool, { keepsent: '1d' } as never)).toThrow(/unknown option "keepsent"/)
    expect(() => outbox.relay([])).toThrow(/queues and topics/)
    expect(() => outbox.relay([bed.queue('q')], { batch: 0 })).toThrow(/"batch"/)
  })
})
