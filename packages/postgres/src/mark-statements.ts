import type { Mark } from '@msgloop/core'
import type { PoolClient, QueryResult } from 'pg'
import type { Isolation } from './inbox.js'

/** What an inbox says to the server. */
export interface MarkStatements {
  /**
   * Begins a transaction and marks the message in it, in one round trip; resolves with the transaction's id, or
   * with nothing when the mark was there. A mark that somebody else is about to commit is waited for.
   */
  begin(client: PoolClient, mark: Mark): Promise<string | undefined>
  /** Commits unless the transaction is not the one that marked, or is aborted; in one round trip, too. */
  commit(client: PoolClient, xid: string): Promise<void>
  /** The same, one by one, for clients of other libraries. */
  readonly waitBriefly: string
  readonly mark: string
  readonly waitAsBefore: string
  readonly stillIn: string
  readonly prune: string
}

export function markStatements(
  schema: string,
  name: string,
  lockMs: number,
  isolation: Isolation | undefined,
): MarkStatements {
  const inbox = `'${name.replaceAll("'", "''")}'`
  const insert = `INSERT INTO ${schema}.inbox (inbox, queue, id) VALUES (${inbox}, `
  const returning = ') ON CONFLICT DO NOTHING RETURNING pg_current_xact_id()::text AS xid'
  const waitBriefly = `SET LOCAL lock_timeout = ${lockMs}`
  const waitAsBefore = 'SET LOCAL lock_timeout TO DEFAULT'
  const start = `BEGIN${isolation === undefined ? '' : ` ISOLATION LEVEL ${isolation}`};${waitBriefly};${insert}`
  return {
    async begin(client, { queue, id }) {
      // Several statements in one go take no parameters.
      const values = `${client.escapeLiteral(queue)}, ${client.escapeLiteral(id)}`
      const results = await client.query(`${start}${values}${returning};${waitAsBefore}`)
      return (results as unknown as QueryResult[])[2]?.rows[0]?.xid
    },
    async commit(client, xid) {
      await client.query(`SELECT ${same(`'${xid}'`)};COMMIT`)
    },
    waitBriefly,
    mark: `${insert}$1, $2${returning}`,
    waitAsBefore,
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
