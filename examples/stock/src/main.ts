// Stock reservation: ten pieces, forty customers. Each piece is reserved once, and what is not paid for in a second is
// put back once, by a delayed message that is sent exactly when the reservation commits.
//
//   DATABASE_URL=postgres://… QUEUE_URL=nats://… pnpm start      (QUEUE_URL: any broker; default memory:)
import { postgresInbox, postgresOutbox } from '@msgloop/postgres'
import { connect, defineQueue } from 'msgloop'
import { Pool } from 'pg'
import { release, reserve, TABLES } from './warehouse.js'

const [PIECES, CUSTOMERS] = [10, 40]

interface Order {
  readonly item: string
  readonly pays: boolean
}

const pool = new Pool({
  connectionString: process.env.DATABASE_URL ?? 'postgres://localhost/postgres',
  max: 25,
})
const broker = await connect(process.env.QUEUE_URL ?? 'memory:')
const orders = broker.queue(defineQueue<Order>('example-orders', { guarantee: 'exactly-once' }))
const expiries = broker.queue(
  defineQueue<{ reservation: string; item: string }>('example-expiries', { guarantee: 'exactly-once' }),
)
const inbox = postgresInbox(pool, { name: 'example-stock' })
const outbox = postgresOutbox(pool, { name: 'example-stock' })
await outbox.ready()
await pool.query(TABLES)
const run = `run-${Date.now()}`
const item = `${run}-chair`
await pool.query('INSERT INTO stock VALUES ($1, $2)', [item, PIECES])

const answered = { reserved: 0, soldOut: 0, expired: 0 }
const shop = orders.consume(
  async (order, message, tx) => {
    const reserved = await reserve(tx, message.id, order.item)
    if (!reserved) answered.soldOut++
    else if (order.pays) await tx.query("UPDATE reservations SET state = 'sold' WHERE id = $1", [message.id])
    else {
      const expiry = { reservation: message.id, item: order.item }
      await outbox.send(tx, expiries, expiry, { delay: '1s', causedBy: message })
    }
    if (reserved) answered.reserved++
  },
  { inbox, concurrency: 8 },
)
const clerk = expiries.consume(
  async ({ reservation, item: piece }, _message, tx) => {
    if (await release(tx, reservation, piece)) answered.expired++
  },
  { inbox, concurrency: 8 },
)
const relay = outbox.relay([expiries])

// Every order is sent twice, and no customer gets two pieces for it.
const order = (n: number): Order => ({ item, pays: n % 2 === 0 })
for (let n = 0; n < CUSTOMERS; n++)
  for (let time = 0; time < 2; time++) await orders.send(order(n), { id: `${run}-${n}` })

const held = "SELECT count(*)::int AS held FROM reservations WHERE item = $1 AND state = 'held'"
while (answered.reserved + answered.soldOut < CUSTOMERS || (await pool.query(held, [item])).rows[0].held > 0)
  await new Promise((resolve) => setTimeout(resolve, 20))
await relay.close()
await shop.close()
await clerk.close()

const { rows } = await pool.query(
  `SELECT (SELECT available FROM stock WHERE item = $1) AS available,
    (SELECT count(*) FROM reservations WHERE item = $1 AND state = 'sold')::int AS sold,
    (SELECT count(*) FROM reservations WHERE item = $1 AND state = 'released')::int AS released`,
  [item],
)
const { available, sold, released } = rows[0]
const balanced = available + sold === PIECES && released === answered.expired && sold > 0
process.stdout.write(
  `${CUSTOMERS} orders for ${PIECES} pieces on ${broker.name}: ${sold} sold, ${released} put back, ` +
    `${answered.soldOut} times sold out, ${available} on the shelf: ${balanced ? 'balanced' : 'NOT BALANCED'}\n`,
)
await broker.close()
await pool.end()
process.exitCode = balanced ? 0 : 1
