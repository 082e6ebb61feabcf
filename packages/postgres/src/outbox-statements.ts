/** Where relays listen; the payload says which outbox. */
export const CHANNEL = 'msgloop_outbox'

/** What an outbox says to the server. */
export interface OutboxStatements {
  /** Values: `toValues`. */
  readonly write: string
  /**
   * Chooses rows after `$1` in the order they were written, at most `$2`, for destinations `$3`, and takes the lock
   * of each key it meets; rows whose key another relay holds are left out. `last` is how far it looked.
   */
  readonly choose: string
  /** Locks the rows `$1` and gives what of them is still to be sent. To be run with the locks of their keys. */
  readonly claim: string
  readonly sent: string
  readonly refused: string
  readonly prune: string
  readonly stats: string
  readonly listRefused: string
  readonly retry: string
  readonly remove: string
  /** What `NOTIFY` carries. */
  readonly payload: string
}

export function outboxStatements(schema: string, name: string, keepsSent: boolean): OutboxStatements {
  const table = `${schema}.outbox`
  const outbox = `'${name.replaceAll("'", "''")}'`
  const payload = `${schema}/${name}`
  // What follows a refused row of its key waits until somebody decides about that row.
  const open = `(o.key IS NULL OR NOT EXISTS (
    SELECT FROM ${table} r
    WHERE r.outbox = o.outbox AND r.state = 'refused' AND r.destination = o.destination AND r.key = o.key))`
  return {
    payload,
    write: `WITH row AS (
      INSERT INTO ${table} (outbox, destination, id, key, body, fields, delay_ms)
      VALUES (${outbox}, $1, $2, $3, $4, $5, $6) RETURNING seq
    ) SELECT pg_notify('${CHANNEL}', '${payload.replaceAll("'", "''")}') FROM row`,
    choose: `WITH seen AS MATERIALIZED (
      SELECT o.seq, hashtextextended(o.outbox || ' ' || o.destination || ' ' || o.key, 7208112415561402) AS lock
      FROM ${table} o
      WHERE o.outbox = ${outbox} AND o.state = 'waiting' AND o.seq > $1 AND o.destination = ANY ($3) AND ${open}
      ORDER BY o.seq LIMIT $2
    ), mine AS MATERIALIZED (
      SELECT lock FROM (SELECT DISTINCT lock FROM seen WHERE lock IS NOT NULL) locks
      WHERE pg_try_advisory_xact_lock(lock)
    ) SELECT
      (SELECT max(seq) FROM seen) AS last,
      (SELECT count(*) FROM seen)::int AS count,
      ARRAY(SELECT seq FROM seen WHERE lock IS NULL OR lock IN (SELECT lock FROM mine)) AS seqs`,
    claim: `SELECT o.seq, o.destination, o.id, o.key, o.body, o.fields, o.delay_ms,
        extract(epoch FROM clock_timestamp() - o.written_at) * 1000 AS waited_ms
      FROM ${table} o WHERE o.seq = ANY ($1::bigint[]) AND o.state = 'waiting' AND ${open}
      ORDER BY o.seq FOR UPDATE OF o SKIP LOCKED`,
    sent: keepsSent
      ? `UPDATE ${table} SET state = 'sent', sent_at = clock_timestamp() WHERE seq = ANY ($1::bigint[])`
      : `DELETE FROM ${table} WHERE seq = ANY ($1::bigint[])`,
    refused: `UPDATE ${table} o SET state = 'refused', error = refused.error
      FROM unnest($1::bigint[], $2::text[]) AS refused (seq, error) WHERE o.seq = refused.seq`,
    prune: `DELETE FROM ${table} WHERE seq IN (
      SELECT seq FROM ${table} WHERE outbox = ${outbox} AND state = 'sent' AND sent_at < $2 LIMIT $1)`,
    stats: `SELECT count(*) FILTER (WHERE state = 'waiting')::int AS waiting,
        count(*) FILTER (WHERE state = 'refused')::int AS refused,
        extract(epoch FROM clock_timestamp() - min(written_at) FILTER (WHERE state = 'waiting')) * 1000 AS lag_ms
      FROM ${table} WHERE outbox = ${outbox} AND state IN ('waiting', 'refused')`,
    listRefused: `SELECT seq, destination, id, key, error, written_at FROM ${table}
      WHERE outbox = ${outbox} AND state = 'refused' ORDER BY seq LIMIT $1`,
    retry: `UPDATE ${table} SET state = 'waiting', error = NULL
      WHERE outbox = ${outbox} AND state = 'refused' AND id = ANY ($1)`,
    remove: `DELETE FROM ${table} WHERE outbox = ${outbox} AND state = 'refused' AND id = ANY ($1)`,
  }
}
