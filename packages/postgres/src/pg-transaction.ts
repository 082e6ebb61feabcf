import { MsgloopError } from '@msgloop/core'
import type { PoolClient } from 'pg'

/** A client as a handler sees it: of no use when its transaction is over, and not to be released by it. */
export interface PgTransaction {
  readonly client: PoolClient
  end(): void
}

/**
 * The client with `query` and `release` replaced. A handler that goes on after its end (a promise it did not
 * await) must not reach the transaction of another message on the same connection.
 */
export function pgTransaction(client: PoolClient, what: string): PgTransaction {
  let over = false
  const query = (...args: readonly unknown[]): unknown => {
    if (!over) return Reflect.apply(client.query, client, args)
    return Promise.reject(
      new MsgloopError('CLOSED', `${what} is over; await what a handler begins before it returns`),
    )
  }
  return {
    client: Object.create(client, { query: { value: query }, release: { value: () => {} } }),
    end: () => {
      over = true
    },
  }
}
