import type { PoolClient } from 'pg'

export const TABLES = `
  CREATE TABLE IF NOT EXISTS stock (item text PRIMARY KEY, available int NOT NULL CHECK (available >= 0));
  CREATE TABLE IF NOT EXISTS reservations (
    id text PRIMARY KEY, item text NOT NULL, state text NOT NULL CHECK (state IN ('held', 'sold', 'released')))`

/** Takes one piece off the shelf. */
export async function reserve(tx: PoolClient, id: string, item: string): Promise<boolean> {
  const taken = await tx.query(
    'UPDATE stock SET available = available - 1 WHERE item = $1 AND available > 0',
    [item],
  )
  if (taken.rowCount === 0) return false
  await tx.query("INSERT INTO reservations VALUES ($1, $2, 'held')", [id, item])
  return true
}

/** Puts it back unless it was sold. */
export async function release(tx: PoolClient, id: string, item: string): Promise<boolean> {
  const released = await tx.query(
    "UPDATE reservations SET state = 'released' WHERE id = $1 AND state = 'held'",
    [id],
  )
  if (released.rowCount === 0) return false
  await tx.query('UPDATE stock SET available = available + 1 WHERE item = $1', [item])
  return true
}
