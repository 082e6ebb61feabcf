import { briefly, type DriverError, type Source, sleep, systemClock } from '@msgloop/core/driver'
import { fed } from './copies.js'
import { type Arrival, Intake, type Pull } from './intake.js'
import { delayedSubject, turnSubject } from './names.js'
import { ACK, nak, replace, settle } from './orders.js'
import { type Outlet, subjectFrom } from './outlets.js'
import { EARLY_MS, ServerClock } from './server-clock.js'
import type { Session } from './session.js'
import { Token } from './token.js'
import { decode } from './wire.js'

/** Held-back messages cost nothing but this many requests. */
const BATCH = 256
/** A request of a client that died stays with the server until it runs out. */
const PULL_MS = 5_000
/** Between two requests that the server ends at once. */
const SOON_MS = 100

export interface FeederOptions {
  readonly session: Session
  readonly prefix: string
  readonly spec: Source
  readonly outlets: readonly Outlet[]
  readonly ackWaitMs: number
  readonly source: string
  readonly inboxPrefix: string
  readonly onEnd: (error: DriverError) => void
}

/**
 * Stores in its partition what came otherwise to a queue with order by key: what was moved or sent by other
 * clients, what a topic has for a subscription, and what was delayed, once it is due. Copies before it acks.
 */
export class Feeder {
  readonly #options: FeederOptions
  readonly #intake: Intake
  readonly #clocks: ReadonlyMap<Outlet, ServerClock>
  readonly #stop = new AbortController()
  readonly #pulls = new Set<Pull>()
  readonly #working = new Set<Promise<void>>()

  constructor(options: FeederOptions) {
    this.#options = options
    const { session, outlets } = options
    this.#clocks = new Map(outlets.map((outlet) => [outlet, ServerClock.of(session, outlet)]))
    this.#intake = new Intake({
      ...options,
      onMessage: (arrival) => this.#also(this.#feed(arrival)),
      onOver: (pull) => this.#again(pull),
    })
    for (const outlet of outlets) this.#pull(outlet)
  }

  /** Finds out what silence means, where there is any. */
  async check(): Promise<void> {
    for (const pull of this.#pulls) await this.#intake.check(pull)
  }

  /** What is on its way into a partition gets there. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#intake.withdraw()
    await briefly(Promise.all(this.#working))
    this.#intake.close()
  }

  #pull(outlet: Outlet): void {
    if (this.#stop.signal.aborted) return
    const pull = this.#intake.pull(outlet, outlet.inTurn ? 1 : BATCH, PULL_MS)
    if (!pull.over) this.#pulls.add(pull)
  }

  #again(pull: Pull): void {
    const { outlet, askedAt, left } = pull
    this.#pulls.delete(pull)
    const early = left > 0 && systemClock.elapsed() - askedAt < SOON_MS
    if (!early) this.#pull(outlet)
    else this.#also(sleep(systemClock, SOON_MS, this.#stop.signal).then(() => this.#pull(outlet)))
  }

  async #feed(arrival: Arrival): Promise<void> {
    const { session, prefix, spec, ackWaitMs } = this.#options
    const { native, outlet, origin } = arrival
    const subject = subjectFrom(outlet, native.subject)
    const token = new Token(this, arrival, decode(native, origin, subject), systemClock.elapsed() + ackWaitMs)
    if (subject !== undefined && !outlet.topic?.wants(subject))
      return void (await settle(session, [{ index: 0, token, payload: ACK }]))
    const { most, least } = await this.#waitOf(token)
    const early = least > EARLY_MS
    // In turn, it would keep all that comes after it.
    if (most > 0 && !outlet.inTurn && origin.handed === 1)
      return session.nc.publish(token.ackSubject, nak(most))
    const to = early
      ? delayedSubject(prefix, spec.name)
      : turnSubject(prefix, spec.name, token.decoded.message)
    await replace(session, [{ index: 0, ...fed(token, to, early ? most : 0) }])
  }

  /** What is left of its delay, by the clock of the server. */
  async #waitOf({
    outlet,
    origin,
    decoded,
  }: Token): Promise<{ readonly most: number; readonly least: number }> {
    if (decoded.delayMs === 0) return { most: 0, least: 0 }
    const due = origin.storedAt + decoded.delayMs
    const now = await this.#clocks.get(outlet)?.now()
    return { most: due - (now?.earliest ?? due), least: due - (now?.latest ?? due) }
  }

  #also(work: Promise<unknown>): void {
    const over = (): void => void this.#working.delete(done)
    const done: Promise<void> = work.then(over, over)
    this.#working.add(done)
  }
}
