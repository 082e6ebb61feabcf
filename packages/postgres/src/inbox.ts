import type { Duration, Inbox, InboxOutcome, Mark } from '@msgloop/core'
import { MsgloopError, milliseconds } from '@msgloop/core'
import type { Pool, PoolClient } from 'pg'
import { codeOf, sorted } from './errors.js'
import { checkName, checkOptions } from './inbox-options.js'
import type { MarkStatements } from './mark-statements.js'
import { markStatements } from './mark-statements.js'
import { checkSchema, DEFAULT_SCHEMA, migrate, verifyTables } from './migrate.js'
import { orAborted } from './or-aborted.js'
import { pgTransaction } from './pg-transaction.js'
import { checkOut, surviveErrors } from './pool.js'
import { Retention } from './retention.js'
import type { Transactions } from './transactions.js'

export type Isolation = 'read committed' | 'repeatable read' | 'serializable'

export interface PostgresInboxOptions<Tx = PoolClient> {
  /**
   * Whose marks these are: two services that consume queues of one name from two brokers give two names.
   * Marks of different queues never meet in any case. 1 to 100 printable ASCII characters. Default `default`.
   */
  readonly name?: string
  /** Schema that holds the tables. Default `msgloop`. */
  readonly schema?: string
  /** `migrate` (default) makes or upgrades the tables when a consumer starts; `verify` refuses to start instead. */
  readonly tables?: 'migrate' | 'verify'
  /** How long a message is remembered: longer than it can possibly come again. Default 14 days. */
  readonly keep?: Duration
  /** Of the transactions that handlers are given. Default: the database's. Not with `transactions`. */
  readonly isolation?: Isolation
  /** How long a handler waits for a connection of the pool before `onError` is told. Default 10 s. */
  readonly connectTimeout?: Duration
  /** Gives handlers the transactions of another library than `pg`. */
  readonly transactions?: Transactions<Tx>
}

/** An inbox whose marks are rows of the application's own database. */
export interface PostgresInbox<Tx> extends Inbox<Tx> {
  /** Deletes marks older than `keep`, in small batches; resolves with how many. Done now and then by itself. */
  prune(): Promise<number>
}

/** Serializable transactions that met before the handler began are tried again this often. */
const TRIES = 5

/**
 * Marks messages in the transaction of their effects, on the application's own pool. The handler of a consumer
 * is given a client of that pool inside a transaction; what it does there happens exactly once.
 *
 * Each handler that runs holds one connection of the pool.
 *
 * @throws MsgloopError `INVALID` for an unknown option or a bad value. No I/O
 * @example
 * const inbox = postgresInbox(pool, { name: 'payments' })
 * broker.queue(payments).consume((payment, message, tx) => transfer(tx, payment), { inbox })
 */
export function postgresInbox(pool: Pool, options?: PostgresInboxOptions): PostgresInbox<PoolClient>
export function postgresInbox<Tx>(
  pool: Pool,
  options: PostgresInboxOptions<Tx> & { readonly transactions: Transactions<Tx> },
): PostgresInbox<Tx>
export function postgresInbox(
  pool: Pool,
  options: PostgresInboxOptions<never> | PostgresInboxOptions = {},
): PostgresInbox<unknown> {
  checkOptions(options)
  return new PoolInbox(pool, options as PostgresInboxOptions<unknown>)
}

class PoolInbox implements PostgresInbox<unknown> {
  readonly name: string
  readonly #pool: Pool
  readonly #schema: string
  readonly #migrates: boolean
  readonly #connectMs: number
  readonly #sql: MarkStatements
  readonly #transactions: Transactions<unknown> | undefined
  readonly #retention: Retention

  constructor(pool: Pool, options: PostgresInboxOptions<unknown>) {
    const name = checkName('postgresInbox', options.name ?? 'default')
    this.name = `postgres inbox "${name}"`
    this.#pool = pool
    this.#schema = options.schema ?? DEFAULT_SCHEMA
    checkSchema(this.#schema)
    this.#migrates = options.tables !== 'verify'
    this.#connectMs = milliseconds('postgresInbox: option "connectTimeout"', options.connectTimeout ?? '10s')
    this.#transactions = options.transactions
    this.#sql = markStatements(this.#schema, name, options.isolation)
    const keepMs = milliseconds('postgresInbox: option "keep"', options.keep ?? '14d')
    this.#retention = new Retention(pool, this.#sql.prune, [name], keepMs)
    surviveErrors(pool)
  }

  async check(): Promise<void> {
    if (this.#migrates) await migrate(this.#pool, { schema: this.#schema })
    else await verifyTables(this.#pool, this.name, this.#schema)
  }

  async run(mark: Mark, work: (tx: unknown) => Promise<void>, signal: AbortSignal): Promise<InboxOutcome> {
    const outcome = this.#transactions
      ? await this.#runIn(this.#transactions, mark, work, signal)
      : await this.#runOnClient(mark, work, signal)
    if (outcome === 'committed') this.#retention.nudge(() => {})
    return outcome
  }

  async find(mark: Mark, signal: AbortSignal): Promise<'marked' | 'unmarked' | 'running'> {
    const what = `${this.name} cannot look for message ${mark.id}`
    const client = await this.#client(what, signal)
    let broken = true
    try {
      const { marked, free } = await this.#sql.find(client, mark)
      broken = false
      return marked ? 'marked' : free ? 'unmarked' : 'running'
    } catch (error) {
      throw sorted(what, error)
    } finally {
      client.release(broken)
    }
  }

  async prune(): Promise<number> {
    try {
      return await this.#retention.run()
    } catch (error) {
      throw sorted(`${this.name} cannot be pruned`, error)
    }
  }

  async #runOnClient(
    mark: Mark,
    work: (tx: PoolClient) => Promise<void>,
    signal: AbortSignal,
  ): Promise<InboxOutcome> {
    const what = `${this.name} cannot begin with message ${mark.id}`
    const client = await this.#client(what, signal)
    // Anything but an orderly end: whatever the handler still does with the connection must not be in the
    // transaction of another message.
    let broken = true
    try {
      const begun = await this.#begin(client, mark, what)
      if (begun === 'duplicate' || begun === 'running') {
        await client.query('ROLLBACK')
        broken = false
        return begun
      }
      const tx = pgTransaction(client, `${this.name}: the transaction of message ${mark.id}`)
      try {
        await orAborted(signal, () => work(tx.client))
        tx.end()
      } catch (error) {
        tx.end()
        if (!signal.aborted)
          broken = await client.query('ROLLBACK').then(
            () => false,
            () => true,
          )
        throw error
      }
      await this.#commit(client, begun.xid, mark)
      broken = false
      return 'committed'
    } finally {
      client.release(broken)
    }
  }

  /** The mark is the first thing of the transaction, and comes with it in one round trip. */
  async #begin(
    client: PoolClient,
    mark: Mark,
    what: string,
  ): Promise<'duplicate' | 'running' | { readonly xid: string }> {
    for (let attempt = 1; ; attempt++) {
      try {
        const xid = await this.#sql.begin(client, mark)
        if (xid !== undefined) return { xid }
        const { rows } = await client.query(this.#sql.marked, [mark.queue, mark.id])
        return rows[0]?.marked ? 'duplicate' : 'running'
      } catch (error) {
        const code = codeOf(error)
        if (!(code !== undefined && COLLIDED.has(code)) || attempt === TRIES) throw sorted(what, error)
        await client.query('ROLLBACK')
      }
    }
  }

  async #commit(client: PoolClient, xid: string, mark: Mark): Promise<void> {
    const what = `${this.name}: message ${mark.id}`
    try {
      await this.#sql.commit(client, xid)
    } catch (error) {
      const code = codeOf(error)
      if (code === undefined || code.startsWith('08') || code.startsWith('57'))
        throw sorted(
          `${what}: whether its commit went through is not known; the next delivery will tell`,
          error,
        )
      if (code === IN_FAILED_TRANSACTION || code === DIVISION_BY_ZERO) throw ended(what, error)
      throw error
    }
  }

  async #runIn(
    transactions: Transactions<unknown>,
    mark: Mark,
    work: (tx: unknown) => Promise<void>,
    signal: AbortSignal,
  ): Promise<InboxOutcome> {
    const what = `${this.name}: message ${mark.id}`
    let outcome: InboxOutcome = 'committed'
    let begun = false
    const query = (tx: unknown, text: string, values: readonly unknown[]) =>
      transactions.query(tx, text, values)
    try {
      await transactions.run(async (tx) => {
        const [row] = await query(tx, this.#sql.mark, [mark.queue, mark.id])
        if (!row) {
          const [found] = await query(tx, this.#sql.marked, [mark.queue, mark.id])
          outcome = found?.marked ? 'duplicate' : 'running'
          return
        }
        begun = true
        await orAborted(signal, () => work(tx))
        await query(tx, this.#sql.stillIn, [String(row.xid)])
        signal.throwIfAborted()
      })
      return outcome
    } catch (error) {
      const code = codeOf(error) ?? codeOf((error as { cause?: unknown } | undefined)?.cause)
      if (!begun && code !== undefined && COLLIDED.has(code)) return 'running'
      if (!begun) throw sorted(`${what} cannot begin`, error)
      if (code === IN_FAILED_TRANSACTION || code === DIVISION_BY_ZERO) throw ended(what, error)
      throw error
    }
  }

  async #client(what: string, signal: AbortSignal): Promise<PoolClient> {
    try {
      return await checkOut(this.#pool, what, this.#connectMs, signal)
    } catch (error) {
      throw signal.aborted ? error : sorted(what, error)
    }
  }
}

const IN_FAILED_TRANSACTION = '25P02'
const DIVISION_BY_ZERO = '22012'
/** Serialization failure and deadlock: nothing has begun, so the same can be tried again at once. */
const COLLIDED = new Set(['40001', '40P01'])

function ended(what: string, cause: unknown): MsgloopError {
  return new MsgloopError(
    'INVALID',
    `${what}: its handler returned, but had ended its transaction or left it aborted by an error; nothing is committed. Let the handler throw what it cannot handle, and leave COMMIT and ROLLBACK to the inbox`,
    { cause },
  )
}
