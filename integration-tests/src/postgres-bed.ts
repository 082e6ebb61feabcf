import { randomUUID } from 'node:crypto'
import { memory } from '@msgloop/adapter-memory'
import type { Broker, Queue, QueueOptions } from '@msgloop/core'
import { createBroker, defineQueue, immediate } from '@msgloop/core'
import type { PoolConfig } from 'pg'
import { Pool } from 'pg'
import type { PostgresServer } from './postgres-server.js'
import type { Endpoint } from './tcp-proxy.js'

interface Closes {
  close(options?: { readonly timeout?: '5s' }): Promise<unknown>
}

/** A database of its own on a server, an embedded broker, and whatever a test opens on them; closed in one go. */
export class PostgresBed {
  readonly url: string
  readonly #server: PostgresServer
  readonly #database: string
  readonly #pools: Pool[] = []
  readonly #open: Closes[] = []
  readonly #name = `bed-${randomUUID()}`

  private constructor(server: PostgresServer, database: string) {
    this.#server = server
    this.#database = database
    this.url = this.#through(server)
  }

  static async open(server: PostgresServer): Promise<PostgresBed> {
    const database = `bed_${randomUUID().replaceAll('-', '')}`
    const admin = new Pool({ connectionString: server.url(), max: 1 })
    await admin.query(`CREATE DATABASE ${database}`)
    await admin.end()
    return new PostgresBed(server, database)
  }

  pool(options: PoolConfig = {}, through: Endpoint = this.#server): Pool {
    const pool = new Pool({ connectionString: this.#through(through), ...options })
    this.#pools.push(pool)
    return pool
  }

  /** Another client of the one embedded broker. */
  broker(): Broker {
    return this.closes(createBroker(memory({ name: this.#name })))
  }

  /** A queue through a broker of its own. */
  queue<T = unknown>(name: string, options: QueueOptions<T> = {}): Queue<T> {
    return this.broker().queue(defineQueue<T>(name, { retry: immediate({ attempts: 5 }), ...options }))
  }

  /** Closed in the end, last opened first. */
  closes<C extends Closes>(each: C): C {
    this.#open.push(each)
    return each
  }

  async close(): Promise<void> {
    for (const each of this.#open.splice(0).reverse()) await each.close({ timeout: '5s' })
    for (const pool of this.#pools.splice(0)) await pool.end()
  }

  #through(endpoint: Endpoint): string {
    return this.#server.url(endpoint).replace(/[^/]+$/, this.#database)
  }
}
