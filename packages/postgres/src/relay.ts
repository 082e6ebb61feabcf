import { setMaxListeners } from 'node:events'
import type { Duration, Queue, Topic } from '@msgloop/core'
import { MsgloopError, milliseconds } from '@msgloop/core'
import { sendPrepared } from '@msgloop/core/engine'
import type { Pool, PoolClient } from 'pg'
import { Bell } from './bell.js'
import { sorted } from './errors.js'
import { knownOnly } from './inbox-options.js'
import { Listener } from './listener.js'
import type { OutboxStatements } from './outbox-statements.js'
import { pause } from './pause.js'
import { checkOut } from './pool.js'
import type { Retention } from './retention.js'
import type { Claimed } from './stored-message.js'
import { fromRow } from './stored-message.js'

export interface RelayOptions {
  /** Rows claimed at once, sent, and marked in one transaction. 1 to 5000. Default 500. */
  readonly batch?: number
  /** Batches under way at once. Default 2: one is sent while another is claimed. */
  readonly workers?: number
  /** Between looks at a table that nobody has notified of. Default 1 s. */
  readonly poll?: Duration
  /** Told of trouble that is being tried again. Default: a process warning, once. */
  readonly onError?: (error: unknown) => void
}

/** A running relay. */
export interface Relay {
  /** Messages that the broker has confirmed to this relay. */
  readonly sent: number
  /** Lets batches under way end, and lets go of its connections. May be called twice. */
  close(options?: { readonly timeout?: Duration }): Promise<void>
}

/** What a relay works on. */
export interface RelayBed {
  readonly name: string
  readonly pool: Pool
  readonly sql: OutboxStatements
  readonly sent: Retention | undefined
  readonly ready: () => Promise<void>
}

type Destination = Queue<unknown> | Topic<unknown>

const KNOWN: readonly (keyof RelayOptions)[] = ['batch', 'workers', 'poll', 'onError']
const CONNECT_MS = 10_000
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 5_000
/** A destination that takes nothing for now leaves the others the table. */
const DESTINATION_PAUSE_MS = 1_000
/** Rows of one key are sent one by one; pages looked through for work that no other relay has. */
const PAGES = 40
/** Errors that say something of the message, not of its destination. */
const OF_THE_MESSAGE = new Set(['INVALID', 'TOO_LARGE', 'UNSUPPORTED', 'UNKNOWN'])

/** @throws MsgloopError `INVALID` for an unknown option or a bad value */
export function startRelay(
  bed: RelayBed,
  destinations: readonly Destination[],
  options: RelayOptions,
): Relay {
  knownOnly('relay', options, KNOWN)
  if (!Array.isArray(destinations) || destinations.length === 0)
    throw new MsgloopError('INVALID', `${bed.name}: relay takes the queues and topics it is to send to`)
  return new RunningRelay(bed, destinations, options)
}

class RunningRelay implements Relay {
  sent = 0
  readonly #bed: RelayBed
  readonly #destinations: ReadonlyMap<string, Destination>
  readonly #batch: number
  readonly #pollMs: number
  readonly #onError: (error: unknown) => void
  readonly #pausedUntil = new Map<string, number>()
  readonly #stop = new AbortController()
  /** Past the time of `close`: sends are given up. */
  readonly #abandon = new AbortController()
  readonly #bells: readonly Bell[]
  readonly #listener: Listener
  readonly #workers: Promise<unknown>
  #closing: Promise<void> | undefined

  constructor(bed: RelayBed, destinations: readonly Destination[], options: RelayOptions) {
    this.#bed = bed
    this.#destinations = new Map(destinations.map((each) => [addressOf(each), each]))
    this.#batch = count('batch', options.batch ?? 500, 5_000)
    this.#pollMs = milliseconds('relay: option "poll"', options.poll ?? '1s')
    this.#onError = options.onError ?? warnOnce(bed.name)
    this.#bells = Array.from({ length: count('workers', options.workers ?? 2, 16) }, () => new Bell())
    // Every send of a batch listens to it.
    setMaxListeners(0, this.#abandon.signal)
    this.#listener = new Listener(bed.pool, bed.name, bed.sql.payload, () => this.#ring())
    this.#workers = Promise.all(this.#bells.map((bell) => this.#work(bell)))
  }

  close({ timeout = '30s' }: { readonly timeout?: Duration } = {}): Promise<void> {
    const timeoutMs = milliseconds('relay.close: option "timeout"', timeout)
    this.#closing ??= this.#close(timeoutMs)
    return this.#closing
  }

  async #close(timeoutMs: number): Promise<void> {
    this.#stop.abort()
    this.#ring()
    const timer = setTimeout(() => this.#abandon.abort(), timeoutMs)
    await Promise.all([this.#workers, this.#listener.close()])
    clearTimeout(timer)
  }

  #ring(): void {
    for (const bell of this.#bells) bell.ring()
  }

  async #work(bell: Bell): Promise<void> {
    const { signal } = this.#stop
    for (let failures = 0; !signal.aborted; ) {
      try {
        await this.#bed.ready()
        const done = await this.#round()
        failures = 0
        this.#bed.sent?.nudge(this.#onError)
        if (done === 0 && !signal.aborted) await bell.wait(this.#pollMs)
      } catch (error) {
        if (signal.aborted) return
        this.#tell(sorted(`${this.#bed.name} cannot relay`, error))
        await pause(Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(10, failures++)), signal)
      }
    }
  }

  /**
   * Claims, sends and marks one batch, in one transaction: killed anywhere, the rows are free again, and what was
   * sent of them is sent again under its id. Resolves with how many rows it has done with.
   */
  async #round(): Promise<number> {
    const { pool, name, sql } = this.#bed
    const client = await checkOut(pool, name, CONNECT_MS, this.#stop.signal)
    let broken = true
    try {
      await client.query('BEGIN')
      const claimed = await this.#claim(client)
      const { sent, refused } = await this.#send(claimed)
      if (sent.length > 0) await client.query(sql.sent, [sent])
      if (refused.length > 0)
        await client.query(sql.refused, [refused.map(({ seq }) => seq), refused.map(({ error }) => error)])
      await client.query('COMMIT')
      broken = false
      this.sent += sent.length
      return sent.length + refused.length
    } finally {
      client.release(broken)
    }
  }

  /** Looks on where other relays have what it sees: page by page, from the oldest. */
  async #claim(client: PoolClient): Promise<Claimed[]> {
    const { sql } = this.#bed
    const now = performance.now()
    const open = [...this.#destinations.keys()].filter((each) => (this.#pausedUntil.get(each) ?? 0) <= now)
    if (open.length === 0) return []
    let after = '0'
    for (let page = 0; page < PAGES; page++) {
      const chosen = (await client.query(sql.choose, [after, this.#batch, open])).rows[0]
      if (chosen.seqs.length > 0) {
        // A statement of its own: it sees what other relays have done before we had the locks.
        const { rows } = await client.query(sql.claim, [chosen.seqs])
        if (rows.length > 0) return rows.map(fromRow)
      }
      if (chosen.count < this.#batch) return []
      after = chosen.last
    }
    return []
  }

  /** Rows of one key one after the other, each when the one before is confirmed; everything else at once. */
  async #send(rows: readonly Claimed[]): Promise<{
    readonly sent: string[]
    readonly refused: { readonly seq: string; readonly error: string }[]
  }> {
    const sent: string[] = []
    const refused: { seq: string; error: string }[] = []
    const chains = new Map<string, Claimed[]>()
    for (const row of rows) {
      const chain = row.key === null ? row.seq : `${row.destination} ${row.key}`
      const before = chains.get(chain)
      if (before) before.push(row)
      else chains.set(chain, [row])
    }
    const follow = async (chain: readonly Claimed[]): Promise<void> => {
      for (const { seq, destination, outgoing, waitedMs } of chain) {
        try {
          await sendPrepared(this.#destination(destination), outgoing, {
            waitedMs,
            signal: this.#abandon.signal,
          })
          sent.push(seq)
        } catch (error) {
          if (isOfTheMessage(error)) refused.push({ seq, error: error.message })
          else this.#pausedUntil.set(destination, performance.now() + DESTINATION_PAUSE_MS)
          this.#tell(error)
          // The rest of the key waits for this one.
          return
        }
      }
    }
    await Promise.all([...chains.values()].map(follow))
    return { sent, refused }
  }

  #destination(address: string): Queue<unknown> | Topic<unknown> {
    return this.#destinations.get(address) as Queue<unknown> | Topic<unknown>
  }

  #tell(error: unknown): void {
    try {
      this.#onError(error)
    } catch {
      // A listener that throws must not end the relay.
    }
  }
}

function addressOf(destination: Destination): string {
  return 'publish' in destination ? `topic:${destination.name}` : `queue:${destination.name}`
}

function isOfTheMessage(error: unknown): error is MsgloopError {
  return (
    error instanceof MsgloopError &&
    error.outcome === 'rejected' &&
    !error.retryable &&
    OF_THE_MESSAGE.has(error.code)
  )
}

function count(option: string, value: number, most: number): number {
  if (Number.isSafeInteger(value) && value >= 1 && value <= most) return value
  throw new MsgloopError(
    'INVALID',
    `relay: option "${option}" is ${JSON.stringify(value)}; give a whole number from 1 to ${most}`,
  )
}

function warnOnce(name: string): (error: unknown) => void {
  let warned = false
  return (error) => {
    if (warned) return
    warned = true
    const reason = error instanceof Error ? error.message : String(error)
    process.emitWarning(`relay of ${name}: ${reason}`, { code: 'MSGLOOP_RELAY' })
  }
}
