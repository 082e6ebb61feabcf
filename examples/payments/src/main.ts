// Payments between accounts: the money moves once for each payment, whatever is sent, delivered or killed twice.
//
//   DATABASE_URL=postgres://… QUEUE_URL=amqp://… pnpm start      (QUEUE_URL: any broker; default memory:)
import { postgresInbox, postgresOutbox } from '@msgloop/postgres'
import { connect, defineQueue } from 'msgloop'
import type { PoolClient } from 'pg'
import { Pool } from 'pg'
import type { Payment } from './bank.js'
import { TABLES, transfer } from './bank.js'

const PAYMENTS = 40
const OPENING = 10_000

const pool = new Pool({
  connectionString: process.env.DATABASE_URL ?? 'postgres://localhost/postgres',
  max: 25,
})
const broker = await connect(process.env.QUEUE_URL ?? 'memory:')
const payments = broker.queue(defineQueue<Payment>('example-payments', { guarantee: 'exactly-once' }))
const receipts = broker.queue(
  defineQueue<{ payment: string; outcome: string }>('example-receipts', { guarantee: 'exactly-once' }),
)
const inbox = postgresInbox(pool, { name: 'example-payments' })
const outbox = postgresOutbox(pool, { name: 'example-payments' })
await outbox.ready()
await pool.query(TABLES)
const run = `run-${Date.now()}`
const accounts = ['ada', 'grace', 'linus', 'margaret'].map((name) => `${run}-${name}`)
for (const name of accounts) await pool.query('INSERT INTO accounts VALUES ($1, $2)', [name, OPENING])

// The service: money, mark and receipt in one transaction. A third of its first attempts fails after all the work.
const service = payments.consume(
  async (payment, message, tx) => {
    const outcome = await transfer(tx, message.id, payment)
    await outbox.send(tx, receipts, { payment: message.id, outcome }, { causedBy: message })
    if (message.attempt === 1 && Math.random() < 0.3) throw new Error('the card network timed out')
  },
  { inbox, concurrency: 8 },
)
const outcomes = new Map<string, string[]>()
const mailer = receipts.consume(
  ({ payment, outcome }) => {
    outcomes.set(payment, [...(outcomes.get(payment) ?? []), outcome])
  },
  { inbox, concurrency: 8 },
)
const relay = outbox.relay([payments, receipts])

// The front end: whoever asks for a payment gets it sent exactly when the request is stored.
const ids: string[] = []
for (let n = 0; n < PAYMENTS; n++) {
  const [from, to] = [accounts[n % 4] as string, accounts[(n * 3 + 1) % 4] as string]
  const payment = {
    from,
    to: from === to ? (accounts[(n + 1) % 4] as string) : to,
    cents: 100 + ((n * 37) % 900),
  }
  await inTransaction(async (tx) => {
    ids.push(await outbox.send(tx, payments, payment, { id: `${run}-${n}` }))
  })
  // An impatient customer: the same payment again, past the outbox.
  if (n % 4 === 0) await payments.send(payment, { id: `${run}-${n}` })
}
await inTransaction(async (tx) => {
  await outbox.send(tx, payments, { from: accounts[0] as string, to: accounts[1] as string, cents: 1 })
  throw new Error('the customer closed the browser')
}).catch(() => {})

while (outcomes.size < PAYMENTS) await new Promise((resolve) => setTimeout(resolve, 20))
await relay.close()
await service.close()
await mailer.close()

const { rows } = await pool.query(
  `SELECT (SELECT sum(cents) FROM accounts WHERE name = ANY ($1))::int AS total,
    (SELECT count(*) FROM bookings WHERE payment LIKE $2)::int AS bookings,
    (SELECT count(DISTINCT payment) FROM bookings WHERE payment LIKE $2)::int AS paid`,
  [accounts, `${run}-%`],
)
const { total, bookings, paid } = rows[0]
const twice = [...outcomes.values()].filter(({ length }) => length > 1).length
const balanced = total === accounts.length * OPENING && bookings === 2 * paid && twice === 0
process.stdout.write(
  `${PAYMENTS} payments on ${broker.name}: ${paid} paid, ${PAYMENTS - paid} refused, ${bookings} bookings, ` +
    `${twice} receipts twice; ${total} cents of ${accounts.length * OPENING}: ${balanced ? 'balanced' : 'NOT BALANCED'}\n`,
)
await broker.close()
await pool.end()
process.exitCode = balanced ? 0 : 1

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
