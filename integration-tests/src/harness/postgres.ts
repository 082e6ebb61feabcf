import { randomUUID } from 'node:crypto'
import type { InboxBed } from '@msgloop/conformance'
import type { PostgresInbox, PostgresInboxOptions } from '@msgloop/postgres'
import { postgresInbox } from '@msgloop/postgres'
import type { PoolClient } from 'pg'
import { Pool } from 'pg'

/** Inboxes on a real PostgreSQL, each with a pool of its own as each process has, and a table of effects. */
export interface PostgresBed extends InboxBed<PoolClient> {
  close(): Promise<void>
}

export async function postgresBed(url: string, options: PostgresInboxOptions = {}): Promise<PostgresBed> {
  const store = new Pool({ connectionString: url, max: 4 })
  const table = `effects_${randomUUID().replaceAll('-', '')}`
  await store.query(`CREATE TABLE ${table} (key text NOT NULL)`)
  const pools: Pool[] = []
  return {
    open(name): PostgresInbox<PoolClient> {
      const pool = new Pool({ connectionString: url, max: 8 })
      pools.push(pool)
      return postgresInbox(pool, { ...options, name })
    },
    async effect(tx, key) {
      await tx.query(`INSERT INTO ${table} (key) VALUES ($1)`, [key])
    },
    async count(key) {
      const { rows } = await store.query(`SELECT count(*)::int AS count FROM ${table} WHERE key = $1`, [key])
      return rows[0].count
    },
    async close() {
      await Promise.all([store, ...pools].map((pool) => pool.end()))
    },
  }
}
