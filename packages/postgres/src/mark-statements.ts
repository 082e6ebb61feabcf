import type { Mark } from '@msgloop/core'
import type { PoolClient, QueryResult } from 'pg'
import type { Isolation } from './inbox.js'

/** What an inbox says to the server. */
export interface MarkStatements {
  /**
   * Begins a transaction and marks the message in it, in one round trip; resolves with the transaction's id, or
   * with nothing when the mark is there, or when somebody else's transaction is about to make it.
   */
  begin(client: PoolClient, mark: Mark): Promise<string | undefined>
  /** Commits unless the transaction is not the one that marked, or is aborted; in one round trip, too. */
  commit(client: PoolClient, xid: string): Promise<void>
  /** Whether the mark is there, and whether nobody is about to make it. */
  find(client: PoolClient, mark: Mark): Promise<{ readonly marked: boolean; readonly free: boolean }>
  /** The same, one by one, for clients of other libraries. */
  readonly mark: string
  readonly marked: string
  readonly stillIn: string
  readonly prune: string
}

/** Apart from the advisory locks of anybody else. */
const SEED = '7208112415561402'

/**
 * A run holds the advisory lock of its mark until its transaction is over. A second run finds it taken and waits
 * elsewhere: waiting for the mark's row would hold a connection for as long as the first run lasts.
 */
export function markStatements(
  schema: string,
  name: string,
  isolation: Isolation | undefined,
): MarkStatements {
  const inbox = `'${name.replaceAll("'", "''")}'`
  const lock = (queue: string, id: string): string =>
    `pg_try_advisory_xact_lock(hashtextextended(${inbox} || ' ' || ${queue} || ' ' || ${id}, ${SEED}))`
  const insert = (columns: string, queue: string, id: string): string =>
    `INSERT INTO ${schema}.inbox (inbox, queue, id) SELECT ${inbox}, queue, id FROM (${columns}) m ` +
    `WHERE ${lock(queue, id)} ON CONFLICT DO NOTHING RETURNING pg_current_xact_id()::text AS xid`
  const exists = (queue: string, id: string): string =>
    `SELECT EXISTS (SELECT FROM ${schema}.inbox WHERE inbox = ${inbox} AND queue = ${queue} AND id = ${id}) AS marked`
  const start = `BEGIN${isolation === undefined ? '' : ` ISOLATION LEVEL ${isolation}`};`
  // Several statements in one go take no parameters.
  const literals = (client: PoolClient, { queue, id }: Mark): [string, string] => [
    `${client.escapeLiteral(queue)}::text`,
    `${client.escapeLiteral(id)}::text`,
  ]
  const several = async (client: PoolClient, text: string): Promise<QueryResult[]> =>
    (await client.query(text)) as unknown as QueryResult[]
  return {
    async begin(client, mark) {
      const [queue, id] = literals(client, mark)
      const statement = insert(`SELECT ${queue} AS queue, ${id} AS id`, 'queue', 'id')
      return (await several(client, `${start}${statement}`))[1]?.rows[0]?.xid
    },
    async commit(client, xid) {
      await client.query(`SELECT ${same(`'${xid}'`)};COMMIT`)
    },
    async find(client, mark) {
      const [queue, id] = literals(client, mark)
      // The lock first: whoever had it has committed by the time the second statement looks, or has not.
      const text = `BEGIN;SELECT ${lock(queue, id)} AS free;${exists(queue, id)};ROLLBACK`
      const [, free, marked] = await several(client, text)
      return { free: free?.rows[0]?.free === true, marked: marked?.rows[0]?.marked === true }
    },
    mark: insert('SELECT $1::text AS queue, $2::text AS id', 'queue', 'id'),
    marked: exists('$1', '$2'),
    stillIn: `SELECT ${same('$1')}`,
    prune:
      `DELETE FROM ${schema}.inbox WHERE ctid = ANY (ARRAY(` +
      `SELECT ctid FROM ${schema}.inbox WHERE marked_at < $2 AND inbox = $3 LIMIT $1))`,
  }
}

/** Fails by a division by zero when the transaction is another one, or none. */
function same(xid: string): string {
  return `1 / (coalesce(pg_current_xact_id_if_assigned()::text, '') = ${xid}::text)::int`
}
