import type { PoolClient } from 'pg'

/** A row as any client library gives it. */
export type Row = Readonly<Record<string, unknown>>

/**
 * Transactions of the library that the application works with: drizzle, kysely, knex, or any other. Two
 * methods; the README shows them for each. Without it, handlers are given a client of `pg` itself.
 */
export interface Transactions<Tx> {
  /** Commits when `work` resolves, rolls back and rejects when it rejects. */
  run(work: (tx: Tx) => Promise<void>): Promise<unknown>
  /** Runs one statement in `tx`. Its `$1`, `$2`, … stand once each, in order, and it has no `?`. */
  query(tx: Tx, text: string, values: readonly unknown[]): Promise<readonly Row[]>
}

/** How a client of `pg` runs one statement: what `outbox.send` needs of a transaction. */
export const pgQuery: Transactions<PoolClient>['query'] = async (client, text, values) =>
  (await client.query(text, [...values])).rows
