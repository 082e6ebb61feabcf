import { memory } from '@msgloop/adapter-memory'
import type { ConsumeOptions, Message, Queue } from '@msgloop/core'
import { createBroker, defineQueue, fixed, immediate, MsgloopError } from '@msgloop/core'
import type { QueueSpec } from '@msgloop/core/driver'
import type { PostgresInbox } from '@msgloop/postgres'
import { migrate, postgresInbox } from '@msgloop/postgres'
import type { Pool, PoolClient } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { PostgresBed } from '../postgres-bed.js'
import type { PostgresServer } from '../postgres-server.js'
import { startPostgres } from '../postgres-server.js'
import { tcpProxy } from '../tcp-proxy.js'

let server: PostgresServer
let bed: PostgresBed
let pool: Pool
let queue: Queue<unknown>
let troubles: unknown[]

beforeAll(async () => {
  server = await startPostgres()
})
afterAll(async () => {
  await server?.stop()
})
beforeEach(async () => {
  bed = await PostgresBed.open(server)
  pool = bed.pool({ max: 12 })
  troubles = []
  queue = bed.queue('work', { guarantee: 'exactly-once', retry: fixed({ attempts: 8, delay: '100ms' }) })
  await pool.query('CREATE TABLE effects (id text NOT NULL, attempt int NOT NULL)')
})
afterEach(async () => {
  await bed.close()
})

const PATIENT = { timeout: 30_000 }

type Work = (tx: PoolClient, message: Message<unknown>) => unknown

const effect = (tx: PoolClient, { id, attempt }: Message<unknown>) =>
  tx.query('INSERT INTO effects VALUES ($1, $2)', [id, attempt])

/** Runs `work` after the one effect of each message. */
function consume(work: Work, inbox: PostgresInbox<PoolClient>, options: Omit<ConsumeOptions, 'inbox'> = {}) {
  return bed.closes(
    queue.consume(
      async (_body, message, tx) => {
        await effect(tx, message)
        await work(tx, message)
      },
      { onError: (error) => void troubles.push(error), ...options, inbox },
    ),
  )
}

/** Attempts whose effect is stored. */
async function effects(id: string): Promise<number[]> {
  const { rows } = await pool.query('SELECT attempt FROM effects WHERE id = $1', [id])
  return rows.map(({ attempt }) => attempt)
}

async function empty(of: Queue<unknown>): Promise<void> {
  const left = async () => {
    const { ready = 0, inFlight = 0, delayed = 0 } = await of.stats()
    return ready + inFlight + delayed
  }
  await expect.poll(left, PATIENT).toBe(0)
}

/** Attempts whose effect is stored, when all is done. */
async function handled(id: string): Promise<number[]> {
  await empty(queue)
  return await effects(id)
}

describe('transactions', () => {
  test('one that its handler left aborted by an error is not committed, and is told of', async () => {
    const errors: unknown[] = []
    consume(
      async (tx, { attempt }) => {
        if (attempt === 1) await tx.query('SELECT 1 / 0').catch(() => {})
      },
      postgresInbox(pool),
      {
        middleware: [
          (_message, next) =>
            next().catch((error) => {
              errors.push(error)
              throw error
            }),
        ],
      },
    )
    const id = await queue.send({})
    expect(await handled(id)).toEqual([2])
    expect(errors).toMatchObject([{ code: 'INVALID' }])
    expect((errors[0] as Error).message).toMatch(/leave COMMIT and ROLLBACK to the inbox/)
  })

  test.each(['ROLLBACK', 'ROLLBACK; BEGIN; CREATE TABLE stray (id int)'])(
    'one that its handler ended by %s is not taken for committed',
    async (end) => {
      consume(async (tx, { attempt }) => attempt === 1 && (await tx.query(end)), postgresInbox(pool))
      const id = await queue.send({})
      expect(await handled(id)).toEqual([2])
      const { rows } = await pool.query("SELECT to_regclass('stray') AS stray")
      expect(rows[0].stray).toBeNull()
    },
  )

  test('one that could not be serialized is tried again by the policy', async () => {
    await pool.query('CREATE TABLE counters (n int); INSERT INTO counters VALUES (0)')
    const both = { first: () => {}, second: () => {} }
    const met = Promise.all([
      new Promise<void>((resolve) => (both.first = resolve)),
      new Promise<void>((resolve) => (both.second = resolve)),
    ])
    consume(
      async (tx, { id, attempt }) => {
        await tx.query('SELECT n FROM counters')
        if (attempt === 1) {
          both[id as 'first' | 'second']()
          await met
        }
        await tx.query('UPDATE counters SET n = n + 1')
      },
      postgresInbox(pool, { isolation: 'serializable' }),
    )
    await queue.send({}, { id: 'first' })
    await queue.send({}, { id: 'second' })
    const attempts = [...(await handled('first')), ...(await handled('second'))]
    expect(attempts).toHaveLength(2)
    expect(Math.max(...attempts)).toBeGreaterThan(1)
    expect((await pool.query('SELECT n FROM counters')).rows).toEqual([{ n: 2 }])
  })

  test('a handler that goes on after its end cannot reach the transaction of another message', async () => {
    const late: unknown[] = []
    consume(
      (tx) => {
        setTimeout(() => {
          tx.query("INSERT INTO effects VALUES ('late', 1)").then(
            () => late.push('done'),
            (error) => late.push(error.code),
          )
        }, 50)
      },
      postgresInbox(bed.pool({ max: 1 })),
    )
    for (let n = 0; n < 20; n++) await queue.send({}, { id: `${n}` })
    await handled('19')
    await expect.poll(() => late.length, PATIENT).toBe(20)
    expect(late).toEqual(Array(20).fill('CLOSED'))
    expect(await effects('late')).toEqual([])
  })
})

describe('a commit of unknown outcome', () => {
  /** A commit takes as long as the test needs to break it. */
  const SLOW_COMMIT = `
    CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON effects DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW WHEN (NEW.attempt = 1) EXECUTE FUNCTION slow()`
  const COMMITTING =
    "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
  const committing = async () => (await pool.query(COMMITTING)).rows[0]?.pid

  test('that went through is found by the redelivery: one effect, of the first attempt', async () => {
    await pool.query(SLOW_COMMIT)
    const proxy = bed.closes(await tcpProxy(server))
    consume(() => {}, postgresInbox(bed.pool({}, proxy)))
    const id = await queue.send({})
    await expect.poll(committing, PATIENT).toBeDefined()
    proxy.cut()
    expect(await handled(id)).toEqual([1])
  })

  test('that did not is handled again: one effect, of a later attempt', async () => {
    await pool.query(SLOW_COMMIT)
    consume(() => {}, postgresInbox(bed.pool()))
    const id = await queue.send({})
    await expect.poll(committing, PATIENT).toBeDefined()
    await pool.query('SELECT pg_terminate_backend($1)', [await committing()])
    expect(await handled(id)).toEqual([2])
  })

  test('of the last attempt is asked for before anything is dead-lettered', async () => {
    await pool.query(SLOW_COMMIT)
    const proxy = bed.closes(await tcpProxy(server))
    queue = bed.queue('once', { guarantee: 'exactly-once', retry: immediate({ attempts: 1 }) })
    consume(() => {}, postgresInbox(bed.pool({}, proxy)))
    const id = await queue.send({})
    await expect.poll(committing, PATIENT).toBeDefined()
    proxy.cut()
    expect(await handled(id)).toEqual([1])
    expect(await queue.stats()).toMatchObject({ dead: 0 })
  })
})

describe('an inbox that cannot be used', () => {
  test('a pool that is exhausted costs no attempt, and says what to do', async () => {
    const small = bed.pool({ max: 1 })
    const inbox = postgresInbox(small, { connectTimeout: '300ms' })
    await inbox.check()
    const held = await small.connect()
    consume(() => {}, inbox)
    const id = await queue.send({})
    await expect.poll(() => troubles.length, PATIENT).toBeGreaterThan(1)
    expect(troubles[0]).toMatchObject({ code: 'BUSY', retryable: true })
    expect((troubles[0] as Error).message).toMatch(/no connection of the pool was free.*raise its "max"/)
    held.release()
    expect(await handled(id)).toEqual([1])
  })

  test('tables that are missing, or of an older version, are refused at start', async () => {
    const missing = consume(() => {}, postgresInbox(pool, { tables: 'verify' }))
    await expect(missing.ready).rejects.toMatchObject({ code: 'NOT_FOUND' })
    await migrate(pool)
    await pool.query('DELETE FROM msgloop.versions')
    const old = consume(() => {}, postgresInbox(pool, { tables: 'verify' }))
    await expect(old.ready).rejects.toMatchObject({ code: 'DRIFT' })
    await expect(old.ready).rejects.toThrow(/version 0, and 1 is needed; call migrate\(pool\)/)
  })

  test('tables of a newer version are taken as they are: deploys overlap', async () => {
    await migrate(pool)
    await pool.query('INSERT INTO msgloop.versions VALUES (99)')
    await migrate(pool)
    consume(() => {}, postgresInbox(pool))
    expect(await handled(await queue.send({}))).toEqual([1])
  })

  test('a table that goes missing under a consumer costs no attempt: messages wait for it', async () => {
    const inbox = postgresInbox(pool)
    await consume(() => {}, inbox).ready
    await pool.query('ALTER TABLE msgloop.inbox RENAME TO away')
    const id = await queue.send({})
    await expect.poll(() => troubles.length, PATIENT).toBeGreaterThan(2)
    expect(troubles[0]).toMatchObject({ code: 'NOT_FOUND' })
    await pool.query('ALTER TABLE msgloop.away RENAME TO inbox')
    expect(await handled(id)).toEqual([1])
  })

  test('many processes that migrate at once all end up ready', async () => {
    const pools = Array.from({ length: 6 }, () => bed.pool({ max: 1 }))
    await Promise.all(pools.map((each) => migrate(each, { schema: 'elsewhere' })))
    const { rows } = await pool.query('SELECT version FROM elsewhere.versions')
    expect(rows).toEqual([{ version: 1 }])
  })

  test('a database that is down for a while costs no attempt', async () => {
    const proxy = bed.closes(await tcpProxy(server))
    await consume(() => {}, postgresInbox(bed.pool({}, proxy))).ready
    proxy.down()
    const ids = await Promise.all(Array.from({ length: 30 }, () => queue.send({})))
    await expect.poll(() => troubles.length, PATIENT).toBeGreaterThan(30)
    expect(troubles.every((error) => error instanceof MsgloopError && error.retryable)).toBe(true)
    proxy.up()
    for (const id of ids) expect(await handled(id)).toEqual([1])
  })

  test('connections that die idle, in use and while they are made never end the process', async () => {
    const proxy = bed.closes(await tcpProxy(server))
    // The application's own pool, without a listener of its own.
    const bare = bed.pool({ max: 8 }, proxy)
    consume(() => new Promise((resolve) => setTimeout(resolve, 5)), postgresInbox(bare), { concurrency: 8 })
    const ids: string[] = []
    for (let cut = 0; cut < 60; cut++) {
      ids.push(await queue.send({}))
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 12))
      proxy.cut()
    }
    for (const id of ids) expect(await handled(id)).toHaveLength(1)
  })
})

describe('marks', () => {
  test('an id longer than any index entry, or with characters no column takes, is marked all the same', async () => {
    const name = `foreign-${process.pid}`
    const driver = memory({ name })
    const once = createBroker(memory({ name }))
    bed.closes(once)
    const work = once.queue(defineQueue('work', { guarantee: 'exactly-once' }))
    await work.stats()
    const spec = { kind: 'queue', role: 'work', name: 'work' } as QueueSpec
    const sender = await driver.openSender(spec, AbortSignal.timeout(5_000))
    const ids = [
      'x'.repeat(5_000),
      `${'x'.repeat(5_000)}2`,
      'with\0nul',
      'half \ud800',
      'half \ud801',
      "quote ' \\ ;--",
    ]
    const outgoing = [...ids, ...ids].map((id) => ({
      delayMs: 0,
      message: { id, body: Buffer.from('1'), headers: {}, timestamp: 0 },
    }))
    expect(await sender.send(outgoing, AbortSignal.timeout(5_000))).toEqual([])
    const seen: string[] = []
    bed.closes(work.consume((_body, { id }) => void seen.push(id), { inbox: postgresInbox(pool) }))
    await empty(work)
    expect(seen.sort()).toEqual([...ids].sort())
    await driver.close()
  })

  test('old ones are pruned in batches; those of other inboxes and young ones stay', async () => {
    const inbox = postgresInbox(pool, { name: 'mine', keep: '1d' })
    await inbox.check()
    await pool.query(`
      INSERT INTO msgloop.inbox SELECT 'mine', 'q', n::text, now() - interval '2 days' FROM generate_series(1, 2500) n;
      INSERT INTO msgloop.inbox SELECT 'mine', 'q', 'young' || n FROM generate_series(1, 10) n;
      INSERT INTO msgloop.inbox VALUES ('theirs', 'q', '1', now() - interval '2 days')`)
    expect(await inbox.prune()).toBe(2_500)
    expect((await pool.query('SELECT count(*)::int AS left FROM msgloop.inbox')).rows).toEqual([{ left: 11 }])
  })

  test('bad options are refused before any I/O', () => {
    for (const bad of [
      { name: '' },
      { schema: 'a b' },
      { keep: 'long' },
      { isolation: 'none' },
      { table: 'x' },
      { transactions: {} },
    ])
      expect(() => postgresInbox(pool, bad as never), JSON.stringify(bad)).toThrow(MsgloopError)
  })
})
