import { MsgloopError } from '@msgloop/core'
import type { Pool, PoolClient } from 'pg'
import { sorted } from './errors.js'
import { checkOut, surviveErrors } from './pool.js'

export const DEFAULT_SCHEMA = 'msgloop'
const CONNECT_MS = 10_000
/** One migration at a time, whichever process: any number that no application is likely to choose. */
const LOCK = '7208112415561402'

/**
 * Every version of the tables, oldest first; what was released is never changed. Names are qualified by the
 * search path, which is the schema alone.
 */
const VERSIONS: readonly string[] = [
  `
  CREATE TABLE inbox (
    inbox text NOT NULL,
    queue text NOT NULL,
    id text NOT NULL,
    marked_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (inbox, queue, id)
  );
  -- Marks come in the order of their time: a few pages of index find the oldest of millions.
  CREATE INDEX inbox_marked_at ON inbox USING brin (marked_at) WITH (pages_per_range = 16, autosummarize = on);

  CREATE TABLE outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    outbox text NOT NULL,
    destination text NOT NULL,
    id text NOT NULL,
    key text,
    body bytea NOT NULL,
    fields json NOT NULL,
    delay_ms bigint NOT NULL,
    written_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'refused')),
    sent_at timestamptz,
    error text
  );
  CREATE INDEX outbox_waiting ON outbox (outbox, seq) WHERE state = 'waiting';
  CREATE INDEX outbox_refused ON outbox (outbox, destination, key) WHERE state = 'refused';
  CREATE INDEX outbox_sent ON outbox (outbox, sent_at) WHERE state = 'sent';
  `,
]

export interface MigrateOptions {
  /** Schema that holds the tables. Default `msgloop`. */
  readonly schema?: string
}

/**
 * Makes the tables, or brings them up to this version. Does nothing when they are; safe when many processes do
 * it at once, each of which goes on when all is done.
 *
 * @throws MsgloopError `INVALID` for a bad name, `DENIED` without the right to create, or of the connection
 * @example await migrate(pool)
 */
export async function migrate(pool: Pool, { schema = DEFAULT_SCHEMA }: MigrateOptions = {}): Promise<void> {
  checkSchema(schema)
  surviveErrors(pool)
  const what = `schema "${schema}" of PostgreSQL cannot be migrated`
  let client: PoolClient | undefined
  try {
    client = await checkOut(pool, what, CONNECT_MS)
    if (((await versionOf(client, schema)) ?? 0) >= VERSIONS.length) return
    await client.query(`BEGIN; SELECT pg_advisory_xact_lock(${LOCK})`)
    const version = (await versionOf(client, schema)) ?? 0
    const { rows } = await client.query(
      'SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1) AS there',
      [schema],
    )
    if (!rows[0]?.there) await client.query(`CREATE SCHEMA ${schema}`)
    await client.query(`SET LOCAL search_path TO ${schema}`)
    await client.query(
      'CREATE TABLE IF NOT EXISTS versions (version int PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())',
    )
    for (const [index, statements] of VERSIONS.entries()) {
      if (index < version) continue
      await client.query(statements)
      await client.query('INSERT INTO versions (version) VALUES ($1)', [index + 1])
    }
    await client.query('COMMIT')
  } catch (error) {
    await client?.query('ROLLBACK').catch(() => {})
    throw sorted(what, error)
  } finally {
    client?.release()
  }
}

/**
 * Writes nothing.
 * @throws MsgloopError `NOT_FOUND` when there are no tables, `DRIFT` when they are older than this package
 */
export async function verifyTables(pool: Pool, what: string, schema: string): Promise<void> {
  const client = await checkOut(pool, what, CONNECT_MS)
  try {
    const version = await versionOf(client, schema)
    if (version === undefined)
      throw new MsgloopError(
        'NOT_FOUND',
        `${what}: schema "${schema}" has no tables of msgloop; call migrate(pool)`,
      )
    if (version < VERSIONS.length)
      throw new MsgloopError(
        'DRIFT',
        `${what}: the tables in schema "${schema}" are of version ${version}, and ${VERSIONS.length} is needed; call migrate(pool)`,
      )
  } catch (error) {
    throw sorted(what, error)
  } finally {
    client.release()
  }
}

/** `undefined` where there is nothing. Newer ones than this package knows are taken as they are: deploys overlap. */
async function versionOf(client: PoolClient, schema: string): Promise<number | undefined> {
  // By the catalogue: `to_regclass` may answer from a cache that was filled before the lock was ours.
  const there = await client.query(
    "SELECT EXISTS (SELECT FROM pg_tables WHERE schemaname = $1 AND tablename = 'versions') AS there",
    [schema],
  )
  if (!there.rows[0]?.there) return undefined
  const { rows } = await client.query(`SELECT coalesce(max(version), 0) AS version FROM ${schema}.versions`)
  return Number(rows[0]?.version)
}

/** @throws MsgloopError `INVALID` */
export function checkSchema(schema: string): void {
  if (typeof schema === 'string' && /^[a-z_][a-z0-9_]{0,62}$/.test(schema)) return
  throw new MsgloopError(
    'INVALID',
    `${JSON.stringify(schema)} is not a schema name: give 1 to 63 lower-case letters, digits or "_"`,
  )
}
