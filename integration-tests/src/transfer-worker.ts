// Consumes transfers, or relays them, in a process of its own, to be killed. Arguments: role, URL of the broker,
// URL of the database, queue, `once` or `control`.
import { postgresInbox, postgresOutbox } from '@msgloop/postgres'
import { connect } from 'msgloop'
import { Pool } from 'pg'
import { transfer, transferQueue } from './transfers.js'

const [role, url = '', database = '', name = '', mode] = process.argv.slice(2)
const once = mode === 'once'
const pool = new Pool({ connectionString: database, max: 10 })
pool.on('error', () => {})
pool.on('connect', (client) => client.on('error', () => {}))
const broker = await connectForever(url)
const queue = broker.queue(transferQueue(name, once))
const quiet = { onError: () => {} }
let close: () => Promise<unknown>

if (role === 'relay') {
  const relay = postgresOutbox(pool).relay([queue], { batch: 100, poll: '500ms', ...quiet })
  close = () => relay.close()
} else if (once) {
  const consumer = queue.consume((body, message, tx) => transfer(tx, message.id, body), {
    concurrency: 8,
    inbox: postgresInbox(pool),
    ...quiet,
  })
  close = () => consumer.close()
} else {
  const consumer = queue.consume(
    async (body, message) => {
      const client = await pool.connect()
      try {
        await client.query('BEGIN')
        await transfer(client, message.id, body)
        await client.query('COMMIT')
        client.release()
      } catch (error) {
        client.release(true)
        throw error
      }
    },
    { concurrency: 8, ...quiet },
  )
  close = () => consumer.close()
}
process.send?.({ ready: true })
// The parent went away: so do we.
process.once('disconnect', async () => {
  await close()
  await broker.close()
  await pool.end()
})

/** The broker may be down at this very moment. */
async function connectForever(to: string): ReturnType<typeof connect> {
  for (;;) {
    try {
      return await connect(to)
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
  }
}
