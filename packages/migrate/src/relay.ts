import { MsgloopError } from '@msgloop/core'
import { type QueueSpec, sleep } from '@msgloop/core/driver'
import {
  type Held,
  Intake,
  type Pace,
  type ResolvedQueue,
  reconnectDelayMs,
  SenderLink,
  stopController,
} from '@msgloop/core/engine'
import { carry } from './carry.js'
import { fingerprint } from './digest.js'
import type { Ledger } from './ledger.js'
import { misfit } from './misfit.js'
import type { Side } from './side.js'

/** Copies under way at once; a quorum queue gives no consumer more than 2000. */
const WINDOW = 1_000
/** One copy may take as long as a broker takes to come back; then it is tried again. */
const SEND_MS = 30_000
/** Beyond a lease, until its message is really there. */
const SPARE_MS = 1_000
/** How often a source that gives nothing is looked at. */
const LOOK_MS = 500

export interface RelayOptions {
  readonly from: Side
  readonly to: Side
  readonly source: ResolvedQueue<unknown>
  readonly target: ResolvedQueue<unknown, QueueSpec>
  readonly ledger: Ledger
  readonly pace: Pace
  /** Ends when the source has given nothing for so long, and nothing is known to be left; 0: runs until `signal`. */
  readonly quietMs: number
  readonly signal: AbortSignal
  readonly onTrouble: (error: unknown) => void
}

/** Moves the messages of one queue to its counterpart: copy, wait for the confirm, write down, then ack. */
export class Relay {
  moved = 0
  readonly #left = new Set<string>()
  readonly #options: RelayOptions
  readonly #link: SenderLink
  readonly #stop: AbortController
  /** Last copy of each key that is under way, where order is kept. */
  readonly #turns = new Map<string, Promise<void>>()
  #underway = 0
  #settled: (() => void) | undefined
  #fatal: unknown

  constructor(options: RelayOptions) {
    this.#options = options
    const { to, target } = options
    this.#link = new SenderLink(to.context, target, SEND_MS)
    this.#stop = stopController()
  }

  /** Messages that could not be moved. */
  get leftBehind(): number {
    return this.#left.size
  }

  /** Resolves when the source is quiet or `signal` aborted; what was begun is finished then. */
  async run(): Promise<void> {
    const { signal } = this.#options
    const stop = (): void => this.#stop.abort()
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    const intakes: Intake[] = []
    try {
      await this.#feed(intakes)
    } finally {
      signal.removeEventListener('abort', stop)
      while (this.#underway > 0) await this.#nextSettled()
      // What could not be moved was held until now, or it would have come again and again.
      await Promise.all(intakes.map((intake) => intake.close()))
      await this.#link.close()
    }
    if (this.#fatal) throw this.#fatal
  }

  async #feed(intakes: Intake[]): Promise<void> {
    const { from, onTrouble } = this.#options
    const { clock, random } = from.context
    const quietMs = this.#patience()
    const { receiveBatch } = from.context.driver.capabilities.limits
    for (let attempt = 1; !this.#stop.signal.aborted; attempt++) {
      try {
        const intake = await this.#open()
        intakes.push(intake)
        // What is left behind keeps its place in the window of its intake: half full of it, another is opened.
        const full = this.#left.size + WINDOW / 2
        let quietSince = clock.elapsed()
        while (!this.#stop.signal.aborted && this.#left.size < full) {
          const room = WINDOW / 2 - this.#underway
          if (room <= 0) {
            await this.#nextSettled()
            continue
          }
          const batch = await intake.receive(Math.min(room, receiveBatch), LOOK_MS, this.#stop.signal)
          for (const held of batch) this.#move(held)
          if (batch.length > 0) {
            attempt = 0
            quietSince = clock.elapsed()
          } else if (quietMs > 0 && clock.elapsed() - quietSince >= quietMs && this.#underway === 0) {
            if (await this.#dry()) return
          }
        }
      } catch (error) {
        if (this.#stop.signal.aborted) return
        onTrouble(error)
        if (error instanceof MsgloopError && !error.retryable && error.code !== 'LEASE_LOST') {
          this.#fatal ??= error
          return
        }
        await sleep(clock, reconnectDelayMs(Math.max(1, attempt), random), this.#stop.signal)
      }
    }
  }

  /** What a process that died held comes back when its lease ends: where nobody can tell, that is waited for. */
  #patience(): number {
    const { from, source, quietMs } = this.#options
    const { lease, stats } = from.context.driver.capabilities
    if (quietMs === 0 || lease === 'connection' || stats.includes('inFlight')) return quietMs
    return Math.max(quietMs, source.spec.leaseMs + SPARE_MS)
  }

  #open(): Promise<Intake> {
    const { from, source } = this.#options
    const { leaseMs } = from.context.driver.capabilities.limits
    return Intake.open(
      from.context,
      source,
      {
        prefetch: WINDOW,
        leaseMs: Math.min(source.definition.leaseMs, leaseMs),
        maxLeaseMs: source.maxLeaseMs,
        consumer: 'msgloop-migrate',
      },
      this.#stop.signal,
    )
  }

  /** Nothing is ready, delayed or in other hands, for all that the broker tells. */
  async #dry(): Promise<boolean> {
    const { from, source } = this.#options
    const stats = await from.context.driver.admin.stats(source.spec, AbortSignal.timeout(SEND_MS))
    const others = (stats.inFlight ?? 0) - this.#left.size
    return (stats.ready ?? 0) === 0 && (stats.delayed ?? 0) === 0 && others <= 0
  }

  #move(held: Held): void {
    this.#underway++
    const { key } = held.delivery.message
    const inTurn = this.#options.source.spec.order === 'key' && key !== undefined
    const before = inTurn ? this.#turns.get(key) : undefined
    const done = (before ? before.then(() => this.#copy(held)) : this.#copy(held))
      .catch((error) => {
        this.#fatal ??= error
        this.#stop.abort()
      })
      .finally(() => {
        if (inTurn && this.#turns.get(key) === done) this.#turns.delete(key)
        this.#underway--
        this.#settled?.()
      })
    if (inTurn) this.#turns.set(key, done)
  }

  async #copy(held: Held): Promise<void> {
    const { to, source, ledger } = this.#options
    const outgoing = carry(held.delivery)
    const { message } = outgoing
    const queue = source.spec.name
    const refused = misfit(message, to.context.driver.capabilities) ?? (await this.#send(held, outgoing))
    if (refused === ENDED) return
    if (refused !== undefined) {
      this.#left.add(message.id)
      return await ledger.leftBehind({ queue, id: message.id, reason: refused })
    }
    await ledger.moved({ queue, id: message.id, print: fingerprint(message) })
    this.moved++
    await this.#ack(held)
  }

  /** Until it is stored. Resolves with why it never can be, or with `ENDED` when there is no time left. */
  async #send(held: Held, outgoing: ReturnType<typeof carry>): Promise<string | undefined> {
    const { to, pace, onTrouble } = this.#options
    const { clock, random } = to.context
    for (let attempt = 1; ; attempt++) {
      if (held.lost) return ENDED
      await pace.next(this.#stop.signal)
      if (this.#stop.signal.aborted) return ENDED
      try {
        await this.#link.send(outgoing)
        return undefined
      } catch (error) {
        if (!(error instanceof MsgloopError)) throw error
        if (HOPELESS.has(error.code)) return error.message
        onTrouble(error)
        if (!error.retryable && error.outcome === 'rejected') throw error
        await sleep(clock, reconnectDelayMs(attempt, random), this.#stop.signal)
      }
    }
  }

  /** What cannot be acked comes again, and is copied again under the same id. */
  async #ack(held: Held): Promise<void> {
    if (held.lost) return
    await held.intake.settle(held, { kind: 'ack' }).catch((error) => this.#options.onTrouble(error))
  }

  #nextSettled(): Promise<void> {
    return new Promise((resolve) => {
      this.#settled = () => {
        this.#settled = undefined
        resolve()
      }
    })
  }
}

/** No other try will store it. */
const HOPELESS: ReadonlySet<string> = new Set(['TOO_LARGE', 'INVALID', 'UNSUPPORTED'])
/** Not moved, and still at the source. */
const ENDED = 'ended'
