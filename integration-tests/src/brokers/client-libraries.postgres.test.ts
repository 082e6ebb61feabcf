import type { Row, Transactions } from '@msgloop/postgres'
import { postgresInbox, postgresOutbox } from '@msgloop/postgres'
import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { integer, pgTable, text } from 'drizzle-orm/pg-core'
import type { Knex } from 'knex'
import knex from 'knex'
import type { Transaction } from 'kysely'
import { CompiledQuery, Kysely, PostgresDialect } from 'kysely'
import type { Pool } from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { PostgresBed } from '../postgres-bed.js'
import type { PostgresServer } from '../postgres-server.js'
import { startPostgres } from '../postgres-server.js'

/** The two methods, for each library, as the README shows them. `add` is the application's own statement. */
const LIBRARIES = {
  drizzle(pool: Pool) {
    const db = drizzle({ client: pool })
    type Tx = Parameters<Parameters<typeof db.transaction>[0]>[0]
    const effects = pgTable('effects', { id: text().notNull(), attempt: integer().notNull() })
    const transactions: Transactions<Tx> = {
      run: (work) => db.transaction(work),
      async query(tx, statement, values) {
        const parts = statement.split(/\$\d+/).map((part) => sql.raw(part))
        const chunks = parts.flatMap((part, i) => (i === 0 ? [part] : [sql.param(values[i - 1]), part]))
        return (await tx.execute(sql.join(chunks))).rows as Row[]
      },
    }
    const add = async (tx: Tx, id: string, attempt: number) =>
      void (await tx.insert(effects).values({ id, attempt }))
    return bench(pool, transactions, add, async () => {})
  },

  kysely(pool: Pool) {
    interface Tables {
      effects: { id: string; attempt: number }
    }
    const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
    const transactions: Transactions<Transaction<Tables>> = {
      run: (work) => db.transaction().execute(work),
      query: async (tx, statement, values) =>
        (await tx.executeQuery<Row>(CompiledQuery.raw(statement, [...values]))).rows,
    }
    const add = async (tx: Transaction<Tables>, id: string, attempt: number) =>
      void (await tx.insertInto('effects').values({ id, attempt }).execute())
    return bench(pool, transactions, add, async () => {})
  },

  knex(pool: Pool, url: string) {
    const db = knex({ client: 'pg', connection: url })
    const transactions: Transactions<Knex.Transaction> = {
      run: (work) => db.transaction(work),
      query: async (tx, statement, values) =>
        (await tx.raw(statement.replace(/\$\d+/g, '?'), values as Knex.RawBinding[])).rows,
    }
    const add = async (tx: Knex.Transaction, id: string, attempt: number) =>
      void (await tx('effects').insert({ id, attempt }))
    return bench(pool, transactions, add, () => db.destroy())
  },
} as const

interface Bench {
  /** Consumes and answers each message by one row and one message. */
  consume(bed: PostgresBed, fails: (attempt: number) => boolean): void
  /** Sends in a transaction that fails. */
  sendAndFail(bed: PostgresBed): Promise<void>
  close(): Promise<void>
}

function bench<Tx>(
  pool: Pool,
  transactions: Transactions<Tx>,
  add: (tx: Tx, id: string, attempt: number) => Promise<void>,
  close: () => Promise<void>,
): Bench {
  const inbox = postgresInbox(pool, { transactions })
  const outbox = postgresOutbox(pool, { transactions })
  return {
    consume(bed, fails) {
      const answers = bed.queue<string>('answers')
      bed.closes(outbox.relay([answers]))
      bed.closes(
        bed.queue<string>('work', { guarantee: 'exactly-once' }).consume(
          async (_body, { id, attempt }, tx) => {
            await add(tx, id, attempt)
            await outbox.send(tx, answers, `${id} at ${attempt}`, { id: `answer-${id}`, key: id })
            if (fails(attempt)) throw new Error('rolled back')
          },
          { inbox, onError: () => {} },
        ),
      )
    },
    async sendAndFail(bed) {
      const answers = bed.queue<string>('answers')
      const failing = transactions.run(async (tx) => {
        await outbox.send(tx, answers, 'never')
        throw new Error('rolled back')
      })
      await expect(failing).rejects.toThrow('rolled back')
    },
    close,
  }
}

let server: PostgresServer
let bed: PostgresBed
let pool: Pool

beforeAll(async () => {
  server = await startPostgres()
})
afterAll(async () => {
  await server?.stop()
})
beforeEach(async () => {
  bed = await PostgresBed.open(server)
  pool = bed.pool()
  await pool.query('CREATE TABLE effects (id text NOT NULL, attempt int NOT NULL)')
})
afterEach(async () => {
  await bed.close()
})

describe.each(Object.entries(LIBRARIES))('transactions of %s', (_name, open) => {
  test('carry effects, marks and messages: all of them, once, or none', async () => {
    const library = open(pool, bed.url)
    try {
      await postgresOutbox(pool).ready()
      await library.sendAndFail(bed)
      library.consume(bed, (attempt) => attempt < 2)
      const work = bed.queue<string>('work', { guarantee: 'exactly-once' })
      for (const id of ['a', 'b', 'a', 'c', 'a', 'b']) await work.send('x', { id })
      const answers = bed.queue<string>('answers')
      const bodies: string[] = []
      bed.closes(answers.consume((body) => void bodies.push(body)))
      await expect.poll(() => bodies.length, { timeout: 20_000 }).toBeGreaterThanOrEqual(3)
      await expect.poll(async () => (await work.stats()).ready, { timeout: 20_000 }).toBe(0)
      await expect.poll(async () => (await work.stats()).inFlight, { timeout: 20_000 }).toBe(0)
      expect(bodies.map((body) => body[0]).sort()).toEqual(['a', 'b', 'c'])
      const { rows } = await pool.query('SELECT id FROM effects ORDER BY id')
      expect(rows.map(({ id }) => id)).toEqual(['a', 'b', 'c'])
      const marks = await pool.query('SELECT id FROM msgloop.inbox ORDER BY id')
      expect(marks.rows.map(({ id }) => id)).toEqual(['a', 'b', 'c'])
    } finally {
      await bed.close()
      await library.close()
    }
  })
})
