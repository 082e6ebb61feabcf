import type { PoolClient } from 'pg'

export interface Payment {
  readonly from: string
  readonly to: string
  readonly cents: number
}

export const TABLES = `
  CREATE TABLE IF NOT EXISTS accounts (name text PRIMARY KEY, cents bigint NOT NULL CHECK (cents >= 0));
  CREATE TABLE IF NOT EXISTS bookings (payment text NOT NULL, account text NOT NULL, cents bigint NOT NULL)`

/** Moves the money, or says why not. Nothing in here knows of messages, or of things that happen twice. */
export async function transfer(
  tx: PoolClient,
  id: string,
  { from, to, cents }: Payment,
): Promise<'paid' | 'refused'> {
  // Both rows in the order of their names: two transfers never wait for each other.
  await tx.query('SELECT FROM accounts WHERE name = ANY ($1) ORDER BY name FOR UPDATE', [[from, to]])
  const { rowCount } = await tx.query(
    'UPDATE accounts SET cents = cents - $2 WHERE name = $1 AND cents >= $2',
    [from, cents],
  )
  if (rowCount === 0) return 'refused'
  await tx.query('UPDATE accounts SET cents = cents + $2 WHERE name = $1', [to, cents])
  await tx.query('INSERT INTO bookings VALUES ($1, $2, $4), ($1, $3, $5)', [id, from, to, -cents, cents])
  return 'paid'
}
