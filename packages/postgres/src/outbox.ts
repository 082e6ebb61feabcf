import type { Duration, Outbox, OutboxOptions, PublishOptions, Queue, Topic } from '@msgloop/core'
import { milliseconds } from '@msgloop/core'
import { preparePublish, prepareSend } from '@msgloop/core/engine'
import type { Pool, PoolClient, QueryResult } from 'pg'
import { sorted } from './errors.js'
import { checkName, knownOnly } from './inbox-options.js'
import { checkSchema, DEFAULT_SCHEMA, migrate, verifyTables } from './migrate.js'
import type { OutboxStatements } from './outbox-statements.js'
import { CHANNEL, outboxStatements } from './outbox-statements.js'
import { surviveErrors } from './pool.js'
import type { Relay, RelayOptions } from './relay.js'
import { startRelay } from './relay.js'
import { Retention } from './retention.js'
import { toValues } from './stored-message.js'
import type { Transactions } from './transactions.js'
import { pgQuery } from './transactions.js'

export interface PostgresOutboxOptions<Tx = PoolClient> {
  /** Rows of outboxes with other names are others' to send. Default `default`. */
  readonly name?: string
  /** Schema that holds the tables. Default `msgloop`. */
  readonly schema?: string
  /** `migrate` (default) makes or upgrades the tables on first use of `ready` or `relay`; `verify` refuses instead. */
  readonly tables?: 'migrate' | 'verify'
  /** How long what was sent stays in the table, for people to look at. Default: it is deleted at once. */
  readonly keepSent?: Duration
  /** How `send` runs a statement in a transaction of another library than `pg`. */
  readonly transactions?: Pick<Transactions<Tx>, 'query'>
}

export interface OutboxStats {
  /** Rows that are to be sent. */
  readonly waiting: number
  /** Rows that the broker refused for good. What comes after one with the same key waits for a decision. */
  readonly refused: number
  /** Age of the oldest row that is to be sent, ms; `undefined` when there is none. */
  readonly lagMs: number | undefined
}

/** A row that the broker refused for good. */
export interface RefusedMessage {
  readonly id: string
  /** `queue:<name>` or `topic:<name>`. */
  readonly destination: string
  readonly error: string
  readonly writtenAt: Date
}

export interface PostgresOutbox<Tx> extends Outbox<Tx> {
  /** Makes the tables, or proves that they are there. `relay` does so by itself; call it where only sends happen. */
  ready(): Promise<void>
  /**
   * Starts to send what is written for these queues and topics. Any number of relays, in any number of processes,
   * share the work; each holds one connection of the pool to listen, and one for each of its workers.
   */
  relay(destinations: readonly (Queue<unknown> | Topic<unknown>)[], options?: RelayOptions): Relay
  stats(): Promise<OutboxStats>
  /** Rows that the broker refused for good, oldest first; at most `limit`, default 100. */
  refused(limit?: number): Promise<RefusedMessage[]>
  /** Lets refused rows be sent again, by id; resolves with how many. */
  retry(ids: readonly string[]): Promise<number>
  /** Gives refused rows up, by id; resolves with how many. */
  remove(ids: readonly string[]): Promise<number>
}

const KNOWN: readonly (keyof PostgresOutboxOptions)[] = [
  'name',
  'schema',
  'tables',
  'keepSent',
  'transactions',
]

/**
 * Messages written in the application's own transactions, on its own pool, and sent by relays.
 *
 * @throws MsgloopError `INVALID` for an unknown option or a bad value. No I/O
 * @example
 * const outbox = postgresOutbox(pool)
 * await outbox.send(tx, mails, { to: order.email }) // in the transaction that stores the order
 * const relay = outbox.relay([mails])               // here, or in a process of its own
 */
export function postgresOutbox(pool: Pool, options?: PostgresOutboxOptions): PostgresOutbox<PoolClient>
export function postgresOutbox<Tx>(
  pool: Pool,
  options: PostgresOutboxOptions<Tx> & { readonly transactions: Pick<Transactions<Tx>, 'query'> },
): PostgresOutbox<Tx>
export function postgresOutbox(
  pool: Pool,
  options: PostgresOutboxOptions<never> | PostgresOutboxOptions = {},
): PostgresOutbox<unknown> {
  knownOnly('postgresOutbox', options, KNOWN)
  return new PoolOutbox(pool, options as PostgresOutboxOptions<unknown>)
}

class PoolOutbox implements PostgresOutbox<unknown> {
  readonly name: string
  readonly #pool: Pool
  readonly #schema: string
  readonly #migrates: boolean
  readonly #sql: OutboxStatements
  readonly #query: Transactions<unknown>['query']
  readonly #sent: Retention | undefined
  #ready: Promise<void> | undefined

  constructor(pool: Pool, options: PostgresOutboxOptions<unknown>) {
    const name = checkName('postgresOutbox', options.name ?? 'default')
    this.name = `postgres outbox "${name}"`
    this.#pool = pool
    this.#schema = options.schema ?? DEFAULT_SCHEMA
    checkSchema(this.#schema)
    this.#migrates = options.tables !== 'verify'
    const { keepSent, transactions } = options
    this.#query = transactions
      ? (...args) => transactions.query(...args)
      : (pgQuery as Transactions<unknown>['query'])
    this.#sql = outboxStatements(this.#schema, name, keepSent !== undefined)
    if (keepSent !== undefined)
      this.#sent = new Retention(
        pool,
        this.#sql.prune,
        [],
        milliseconds('postgresOutbox: option "keepSent"', keepSent),
      )
    surviveErrors(pool)
  }

  ready(): Promise<void> {
    this.#ready ??= this.#prepareTables().catch((error) => {
      this.#ready = undefined
      throw error
    })
    return this.#ready
  }

  async #prepareTables(): Promise<void> {
    if (this.#migrates) await migrate(this.#pool, { schema: this.#schema })
    else await verifyTables(this.#pool, this.name, this.#schema)
  }

  async send<T>(tx: unknown, queue: Queue<T>, body: T, options?: OutboxOptions): Promise<string> {
    const outgoing = await prepareSend(queue, body, options)
    await this.#query(tx, this.#sql.write, toValues(`queue:${queue.name}`, outgoing))
    return outgoing.message.id
  }

  async publish<T>(
    tx: unknown,
    topic: Topic<T>,
    subject: string,
    body: T,
    options?: Omit<PublishOptions, 'signal'>,
  ): Promise<string> {
    const outgoing = await preparePublish(topic, subject, body, options)
    await this.#query(tx, this.#sql.write, toValues(`topic:${topic.name}`, outgoing))
    return outgoing.message.id
  }

  relay(destinations: readonly (Queue<unknown> | Topic<unknown>)[], options: RelayOptions = {}): Relay {
    return startRelay(
      {
        name: this.name,
        pool: this.#pool,
        sql: this.#sql,
        sent: this.#sent,
        ready: () => this.ready(),
      },
      destinations,
      options,
    )
  }

  async stats(): Promise<OutboxStats> {
    const { rows } = await this.#ask('tell its numbers', this.#sql.stats)
    const { waiting, refused, lag_ms: lag } = rows[0] ?? {}
    return {
      waiting: Number(waiting),
      refused: Number(refused),
      lagMs: lag === null ? undefined : Math.max(0, Number(lag)),
    }
  }

  async refused(limit = 100): Promise<RefusedMessage[]> {
    const { rows } = await this.#ask('list what was refused', this.#sql.listRefused, [limit])
    return rows.map(({ id, destination, error, written_at }) => ({
      id,
      destination,
      error,
      writtenAt: written_at,
    }))
  }

  async retry(ids: readonly string[]): Promise<number> {
    const { rowCount } = await this.#ask('let refused messages be sent again', this.#sql.retry, [ids])
    await this.#ask('wake its relays', `SELECT pg_notify('${CHANNEL}', $1)`, [this.#sql.payload])
    return rowCount ?? 0
  }

  async remove(ids: readonly string[]): Promise<number> {
    return (await this.#ask('remove refused messages', this.#sql.remove, [ids])).rowCount ?? 0
  }

  async #ask(action: string, text: string, values: unknown[] = []): Promise<QueryResult> {
    try {
      return await this.#pool.query(text, values)
    } catch (error) {
      throw sorted(`${this.name} cannot ${action}`, error)
    }
  }
}
