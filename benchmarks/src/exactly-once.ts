import { randomUUID } from 'node:crypto'
import type { Queue } from '@msgloop/core'
import { postgresInbox } from '@msgloop/postgres'
import { connect, defineQueue } from 'msgloop'
import type { PoolClient } from 'pg'
import { Pool } from 'pg'
import type { Sample } from './measure.js'
import { measure, sideBySide } from './measure.js'

interface Transfer {
  readonly from: number
  readonly to: number
}

const ACCOUNTS = 1_000
const CONCURRENCY = 16
const ROUNDS = 7

/**
 * exactly-once / at-least-once, on one broker and one PostgreSQL in one run: the same handler in the same transaction,
 * with the mark and without it.
 */
export async function exactlyOnce(
  url: string,
  database: string,
  count: number,
  print: (line: string) => void,
): Promise<void> {
  const pool = new Pool({ connectionString: database, max: CONCURRENCY + 2 })
  pool.on('error', () => {})
  const broker = await connect(url)
  const queue = (guarantee: 'exactly-once' | 'at-least-once'): Queue<Transfer> =>
    broker.queue(defineQueue<Transfer>(`bench-${guarantee}-${randomUUID()}`, { guarantee }))
  const [once, least] = [queue('exactly-once'), queue('at-least-once')]
  const inbox = postgresInbox(pool)
  await inbox.check()
  await pool.query(`
    DROP TABLE IF EXISTS bench_accounts, bench_ledger;
    CREATE TABLE bench_accounts (id int PRIMARY KEY, balance bigint NOT NULL);
    INSERT INTO bench_accounts SELECT id, 0 FROM generate_series(0, ${ACCOUNTS - 1}) id;
    CREATE TABLE bench_ledger (transfer text NOT NULL, "from" int NOT NULL, "to" int NOT NULL)`)
  try {
    const result = await sideBySide(
      ROUNDS,
      () =>
        round(once, count, (handled) =>
          once.consume(
            async (body, message, tx) => {
              await transfer(tx, message.id, body)
              handled()
            },
            { concurrency: CONCURRENCY, inbox },
          ),
        ),
      () =>
        round(least, count, (handled) =>
          least.consume(
            async (body, message) => {
              const client = await pool.connect()
              await client.query('BEGIN')
              await transfer(client, message.id, body)
              await client.query('COMMIT')
              client.release()
              handled()
            },
            { concurrency: CONCURRENCY },
          ),
        ),
    )
    const { ratio, spread, ours, theirs } = result
    print(
      `exactly-once / at-least-once on ${broker.name}: ${ratio.toFixed(2)} x (rounds ${spread}); ` +
        `${ours.perSecond.toFixed(0)}/s / ${theirs.perSecond.toFixed(0)}/s; ` +
        `CPU of this process per message ${ours.cpuMicros.toFixed(0)} / ${theirs.cpuMicros.toFixed(0)} µs`,
    )
  } finally {
    for (const each of [once, least]) {
      await each.delete()
      await each.deadLetters.queue.delete()
    }
    await broker.close()
    await pool.end()
  }
}

/** From the first handler to the last; filling the queue before is not measured. */
async function round(
  queue: Queue<Transfer>,
  count: number,
  consume: (handled: () => void) => { close(): Promise<void> },
): Promise<Sample> {
  for (let sent = 0; sent < count; sent += 500)
    await Promise.all(Array.from({ length: Math.min(500, count - sent) }, () => queue.send(randomTransfer())))
  let close = async (): Promise<void> => {}
  const sample = await measure(count, async () => {
    let left = count
    await new Promise<void>((resolve) => {
      const consumer = consume(() => --left === 0 && resolve())
      close = () => consumer.close()
    })
  })
  await close()
  return sample
}

function randomTransfer(): Transfer {
  const from = Math.floor(Math.random() * ACCOUNTS)
  return { from, to: (from + 1 + Math.floor(Math.random() * (ACCOUNTS - 1))) % ACCOUNTS }
}

async function transfer(tx: PoolClient, id: string, { from, to }: Transfer): Promise<void> {
  const [first, second] = from < to ? [from, to] : [to, from]
  for (const account of [first, second])
    await tx.query({
      name: 'bench-move',
      text: 'UPDATE bench_accounts SET balance = balance + $2 WHERE id = $1',
      values: [account, account === to ? 1 : -1],
    })
  await tx.query({
    name: 'bench-note',
    text: 'INSERT INTO bench_ledger VALUES ($1, $2, $3)',
    values: [id, from, to],
  })
}
