import type { Pool, PoolClient } from 'pg'
import { CHANNEL } from './outbox-statements.js'
import { pause } from './pause.js'
import { checkOut } from './pool.js'

const CONNECT_MS = 10_000
const AGAIN_MS = 1_000

/** Holds a connection that listens, and gets itself another whenever that one is lost. Polling covers the gaps. */
export class Listener {
  readonly #pool: Pool
  readonly #what: string
  readonly #payload: string
  readonly #notified: () => void
  readonly #stop = new AbortController()
  readonly #loop: Promise<void>

  constructor(pool: Pool, what: string, payload: string, notified: () => void) {
    this.#pool = pool
    this.#what = `${what} cannot listen`
    this.#payload = payload
    this.#notified = notified
    this.#loop = this.#listen()
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await this.#loop
  }

  async #listen(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      let client: PoolClient | undefined
      try {
        client = await checkOut(this.#pool, this.#what, CONNECT_MS, signal)
        await this.#until(client, signal)
      } catch {
        // The workers meet the same trouble, and tell of it.
      }
      // What listens must not go back to the pool, and what is lost cannot.
      client?.release(true)
      await pause(AGAIN_MS, signal)
    }
  }

  async #until(client: PoolClient, signal: AbortSignal): Promise<void> {
    const gone = new Promise<void>((resolve) => {
      client.once('error', () => resolve())
      client.once('end', () => resolve())
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
    client.on('notification', ({ payload }) => {
      if (payload === this.#payload) this.#notified()
    })
    await client.query(`LISTEN ${CHANNEL}`)
    // Whatever was written while nobody listened.
    this.#notified()
    await gone
  }
}
