import { randomUUID } from 'node:crypto'
import type { QueueDefinition } from '@msgloop/core'
import { defineQueue, fixed } from '@msgloop/core'
import type { Pool, PoolClient } from 'pg'

export interface Transfer {
  readonly from: number
  readonly to: number
  readonly amount: number
}

export const ACCOUNTS = 100
const OPENING_BALANCE = 1_000_000

/** The queue of every process of the test; `once` is what is proven, without it is the control. */
export function transferQueue(name: string, once: boolean): QueueDefinition<Transfer> {
  return defineQueue<Transfer>(name, {
    guarantee: once ? 'exactly-once' : 'at-least-once',
    // Where a hand-over whose process died is an attempt, none of these messages may run out of them.
    retry: fixed({ attempts: 200, delay: '200ms' }),
    maxDeliveries: 300,
    lease: '5s',
    sendTimeout: '5s',
  })
}

/** Accounts, and one line of the ledger per effect: nothing in there would keep a second one out. */
export async function openAccounts(pool: Pool): Promise<void> {
  await pool.query(`
    CREATE TABLE accounts (id int PRIMARY KEY, balance bigint NOT NULL);
    INSERT INTO accounts SELECT id, ${OPENING_BALANCE} FROM generate_series(0, ${ACCOUNTS - 1}) id;
    CREATE TABLE ledger (transfer text NOT NULL, "from" int NOT NULL, "to" int NOT NULL, amount int NOT NULL)`)
}

export async function transfer(tx: PoolClient, id: string, { from, to, amount }: Transfer): Promise<void> {
  // In the order of their ids, whichever way the money goes: two transfers never wait for each other.
  const [first, second] = from < to ? [from, to] : [to, from]
  for (const account of [first, second])
    await tx.query('UPDATE accounts SET balance = balance + $2 WHERE id = $1', [
      account,
      account === to ? amount : -amount,
    ])
  await tx.query('INSERT INTO ledger VALUES ($1, $2, $3, $4)', [id, from, to, amount])
}

export function randomTransfer(): Transfer {
  const from = Math.floor(Math.random() * ACCOUNTS)
  const to = (from + 1 + Math.floor(Math.random() * (ACCOUNTS - 1))) % ACCOUNTS
  return { from, to, amount: 1 + Math.floor(Math.random() * 100) }
}

export interface Balance {
  /** Transfers with an effect. */
  readonly transfers: number
  /** Effects beyond the first of each transfer. */
  readonly doubled: number
  /** Of all accounts, less what they were opened with. */
  readonly sum: number
  /** Accounts whose balance is not what the ledger says. */
  readonly wrong: number
}

export async function balanceOf(pool: Pool): Promise<Balance> {
  const { rows } = await pool.query(`
    SELECT (SELECT count(DISTINCT transfer) FROM ledger)::int AS transfers,
      (SELECT count(*) - count(DISTINCT transfer) FROM ledger)::int AS doubled,
      (SELECT sum(balance) - ${ACCOUNTS * OPENING_BALANCE} FROM accounts)::int AS sum,
      (SELECT count(*) FROM accounts a WHERE balance <> ${OPENING_BALANCE}
        + (SELECT coalesce(sum(amount), 0) FROM ledger WHERE "to" = a.id)
        - (SELECT coalesce(sum(amount), 0) FROM ledger WHERE "from" = a.id))::int AS wrong`)
  return rows[0]
}

export const newTransferId = (): string => randomUUID()
