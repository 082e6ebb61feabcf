import { sleep } from '@msgloop/core/driver'
import type { Context } from '@msgloop/core/engine'

/** Spreads calls evenly over each second. */
export class Pace {
  readonly #context: Context
  readonly #everyMs: number
  #due = 0

  /** @param perSecond `undefined`: as fast as it goes */
  constructor(context: Context, perSecond: number | undefined) {
    this.#context = context
    this.#everyMs = perSecond === undefined ? 0 : 1_000 / perSecond
  }

  async next(signal: AbortSignal): Promise<void> {
    if (this.#everyMs === 0) return
    const now = this.#context.clock.elapsed()
    this.#due = Math.max(this.#due, now)
    const wait = this.#due - now
    this.#due += this.#everyMs
    if (wait > 0) await sleep(this.#context.clock, wait, signal)
  }
}
