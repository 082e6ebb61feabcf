import { type CancelTimer, systemClock } from '@msgloop/core/driver'
import { type Arrival, Intake, type IntakeOptions, type Pull } from './intake.js'
import type { Outlet } from './outlets.js'

/** An outlet that has something has handed it over by then, mostly. */
const WIDEN_MS = 5
/** One outlet that always has something is asked first so many times, then another. */
const MOST_TIMES_FIRST = 16
/** Longest that is asked for of a server that is not told that it is not wanted any more. */
const FORGETFUL_MS = 2_000
/** The server does not end a request without a time while the message before is out (measured). */
const AT_ONCE_MS = 1

/** One asking for messages, wherever they are. */
export class Sweep {
  readonly askedAt = systemClock.elapsed()
  until: number
  /** What the server is still working on. */
  readonly pulls = new Set<Pull>()
  /** Not asked yet. */
  readonly outlets: Outlet[]
  /** Not handed over yet; below zero for what several handed over at once. */
  left: number
  found = false
  /** Outlets are asked to wait. */
  waits = false
  over = false

  constructor(outlets: readonly Outlet[], batch: number, waitMs: number) {
    this.outlets = [...outlets]
    this.left = batch
    this.until = this.askedAt + waitMs
  }

  /** What nobody has been asked for yet. */
  get wanted(): number {
    return [...this.pulls].reduce((wanted, pull) => wanted - pull.left, this.left)
  }

  get waitMs(): number {
    return Math.max(0, this.until - systemClock.elapsed())
  }
}

export interface FanInOptions extends Omit<IntakeOptions, 'onOver'> {
  /** Whether a message of the outlet is ours, so that it hands over none, if it does so in turn. */
  readonly isHeld: (outlet: Outlet) => boolean
  readonly onOver: () => void
}

/**
 * Pulls from several outlets as if they were one, never from all for more than is wanted: first from some for what
 * they have, then, where there is nothing, from all for one message each. Once that has come the others are asked
 * no more; what they hand over before they hear of it is surplus, which the receiver keeps or gives back.
 */
export class FanIn {
  readonly #intake: Intake
  readonly #options: FanInOptions
  readonly #outlets: readonly Outlet[]
  readonly #several: boolean
  readonly #inTurn: boolean
  /** Which is asked first. */
  #next = 0
  #timesFirst = 0
  #sweep: Sweep | undefined
  #widening: CancelTimer | undefined

  constructor(options: FanInOptions) {
    this.#options = options
    this.#outlets = options.outlets
    this.#several = options.outlets.length > 1
    this.#inTurn = options.outlets.some(({ inTurn }) => inTurn)
    this.#intake = new Intake({
      ...options,
      onMessage: (arrival) => this.#arrived(arrival),
      onOver: (pull) => this.#over(pull),
    })
  }

  get withdrawing(): Promise<void> | undefined {
    return this.#intake.withdrawing
  }

  /** Asks for up to `batch` messages within `waitMs`, or less; with 0, for what is there. */
  pull(batch: number, waitMs: number): Sweep {
    const current = this.#sweep
    if (current) {
      if (this.#inTurn && current.waits) {
        current.left = batch
        current.until = Math.max(current.until, systemClock.elapsed() + waitMs)
        this.#widen(current)
      }
      return current
    }
    if (!this.#inTurn && ++this.#timesFirst > MOST_TIMES_FIRST) this.#first(this.#next + 1)
    const turned = [...this.#outlets.slice(this.#next), ...this.#outlets.slice(0, this.#next)]
    const sweep = new Sweep(turned, batch, waitMs)
    this.#sweep = sweep
    this.#advance(sweep)
    return sweep
  }

  /** Nobody waits any more. A server that had better not be told so ends what it was asked by itself, soon. */
  rest(): void {
    if (!this.#several || !this.#intake.forgetful) void this.withdraw()
    else if (this.#sweep) this.#end(this.#sweep)
  }

  /** Asks for nothing any more. What is on its way still comes, before this resolves. */
  withdraw(): Promise<void> {
    if (this.#sweep) this.#end(this.#sweep)
    return this.#intake.withdraw()
  }

  /** Finds out what silence means, where there is any. */
  async check({ pulls }: Sweep): Promise<void> {
    for (const pull of pulls) await this.#intake.check(pull)
  }

  close(): void {
    this.#intake.close()
  }

  #advance(sweep: Sweep): void {
    // In turn, waiting is all there is: an outlet says nothing while its last message is out.
    const probes = this.#several && !sweep.waits && !(this.#inTurn && sweep.waitMs > 0)
    while (probes && sweep.wanted > 0 && sweep.outlets.length > 0)
      this.#pull(sweep, sweep.outlets.shift(), sweep.wanted, 0)
    if (sweep.waits && this.#inTurn && sweep.waitMs > 0) this.#widen(sweep)
    if (sweep.over || sweep.pulls.size > 0) return
    if (sweep.waits || sweep.found || (probes && sweep.waitMs === 0)) this.#end(sweep)
    else this.#wait(sweep)
  }

  #wait(sweep: Sweep): void {
    sweep.waits = true
    if (this.#inTurn) this.#widen(sweep)
    else
      for (const outlet of this.#outlets)
        this.#pull(sweep, outlet, this.#several ? 1 : sweep.left, sweep.waitMs)
    if (sweep.pulls.size === 0) this.#end(sweep)
  }

  /** As many as are wanted are asked at once; more of them, twice as many each time, while nothing comes. */
  #widen(sweep: Sweep, more = sweep.wanted): void {
    this.#widening?.()
    this.#widening = undefined
    if (sweep.left <= 0) return
    const asked = new Set([...sweep.pulls].map(({ outlet }) => outlet))
    const idle = sweep.outlets.filter((outlet) => !asked.has(outlet) && !this.#options.isHeld(outlet))
    for (const outlet of idle.slice(0, Math.max(0, more))) this.#pull(sweep, outlet, 1, sweep.waitMs)
    if (idle.length > more && !sweep.over)
      this.#widening = systemClock.after(WIDEN_MS, () => this.#widen(sweep, Math.max(1, sweep.pulls.size)))
  }

  #pull(sweep: Sweep, outlet: Outlet | undefined, batch: number, waitMs: number): void {
    if (!outlet || sweep.over) return
    if (this.#inTurn) this.#first(this.#outlets.indexOf(outlet) + 1)
    const standing = this.#intake.standing(outlet)
    if (standing && !sweep.waits) return
    const pull = standing ?? this.#asked(outlet, batch, waitMs)
    if (!pull.over) sweep.pulls.add(pull)
  }

  /** Where there was something there may be more. In turn, what has handed over comes last. */
  #first(at: number): void {
    this.#next = at % this.#outlets.length
    this.#timesFirst = 0
  }

  #asked(outlet: Outlet, batch: number, waitMs: number): Pull {
    const longest = this.#several && this.#intake.forgetful ? FORGETFUL_MS : waitMs
    const forMs = Math.min(waitMs, longest)
    return outlet.inTurn
      ? this.#intake.pull(outlet, 1, Math.max(AT_ONCE_MS, forMs))
      : this.#intake.pull(outlet, batch, forMs)
  }

  #arrived(arrival: Arrival): void {
    const sweep = this.#sweep
    this.#options.onMessage(arrival)
    if (!sweep) return
    sweep.found = true
    sweep.left--
    const at = this.#outlets.indexOf(arrival.outlet)
    if (!this.#inTurn && at !== this.#next) this.#first(at)
    const others = [...sweep.pulls].filter(({ outlet }) => outlet !== arrival.outlet)
    const surplus = this.#inTurn ? others.length > sweep.left : others.length > 0
    if (!sweep.waits || !surplus) return
    this.rest()
  }

  #over(pull: Pull): void {
    const sweep = this.#sweep
    if (sweep?.pulls.delete(pull)) this.#advance(sweep)
  }

  #end(sweep: Sweep): void {
    if (sweep.over) return
    sweep.over = true
    sweep.pulls.clear()
    this.#widening?.()
    this.#widening = undefined
    if (this.#sweep === sweep) this.#sweep = undefined
    this.#options.onOver()
  }
}
