import type { Clock } from './clock.js'
import { sleep } from './clock.js'

/** Spreads calls evenly over each second. */
export class Pace {
  readonly #clock: Clock
  readonly #everyMs: number
  #due = 0

  /** Without a rate, `next` never waits. */
  constructor(clock: Clock, perSecond: number | undefined) {
    this.#clock = clock
    this.#everyMs = perSecond === undefined ? 0 : 1_000 / perSecond
  }

  async next(signal: AbortSignal | undefined): Promise<void> {
    if (this.#everyMs === 0) return
    const now = this.#clock.elapsed()
    this.#due = Math.max(this.#due, now)
    const wait = this.#due - now
    this.#due += this.#everyMs
    if (wait > 0) await sleep(this.#clock, wait, signal)
  }
}
