import { MsgloopError } from '@msgloop/core'
import type { Pool, PoolClient } from 'pg'

const watched = new WeakSet<Pool | PoolClient>()

/**
 * A client that loses its server emits `error`, checked out or idle, and without a listener that ends the
 * process. Whoever uses the client is told by its query; the pool drops it.
 */
export function surviveErrors(pool: Pool): void {
  if (watched.has(pool)) return
  watched.add(pool)
  pool.on('error', () => {})
  pool.on('connect', surviveClientErrors)
}

function surviveClientErrors(client: PoolClient): void {
  if (watched.has(client)) return
  watched.add(client)
  client.on('error', () => {})
}

/**
 * A client of the pool. Whoever takes it releases it.
 *
 * @throws MsgloopError `BUSY` when there is none within `waitMs`; the reason of `signal` when it aborts
 */
export async function checkOut(
  pool: Pool,
  what: string,
  waitMs: number,
  signal?: AbortSignal,
): Promise<PoolClient> {
  // Clients that the application had open before are met here for the first time.
  const connecting = pool.connect().then((client) => {
    surviveClientErrors(client)
    return client
  })
  if (pool.idleCount > 0 || waitMs === 0) return await connecting
  return await new Promise<PoolClient>((resolve, reject) => {
    let over = false
    const end = (settle: () => void): void => {
      if (over) return
      over = true
      clearTimeout(timer)
      signal?.removeEventListener('abort', aborted)
      settle()
    }
    const aborted = (): void => end(() => reject(signal?.reason))
    const timer = setTimeout(() => end(() => reject(exhausted(pool, what, waitMs))), waitMs)
    signal?.addEventListener('abort', aborted, { once: true })
    if (signal?.aborted) aborted()
    connecting.then(
      (client) => (over ? client.release() : end(() => resolve(client))),
      (error) => end(() => reject(error)),
    )
  })
}

function exhausted(pool: Pool, what: string, waitMs: number): MsgloopError {
  return new MsgloopError(
    'BUSY',
    `${what}: no connection of the pool was free within ${waitMs} ms; all ${pool.totalCount} are in use: raise its "max", or lower "concurrency"`,
    { retryable: true },
  )
}
