import type { CancelTimer, Clock } from '@msgloop/core/driver'

/**
 * One timer for many due times. It is set only when something is due before what it is set for, so
 * that leases which are settled in time cost no timer each; ringing early is harmless.
 */
export class Alarm {
  readonly #clock: Clock
  readonly #ring: () => void
  #at = Number.POSITIVE_INFINITY
  #cancel: CancelTimer | undefined

  constructor(clock: Clock, ring: () => void) {
    this.#clock = clock
    this.#ring = ring
  }

  /** Rings at `at` (epoch ms) or before. */
  set(at: number): void {
    if (at >= this.#at) return
    this.#cancel?.()
    this.#at = at
    this.#cancel = this.#clock.after(at - this.#clock.now(), () => {
      this.#at = Number.POSITIVE_INFINITY
      this.#cancel = undefined
      this.#ring()
    })
  }

  off(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#at = Number.POSITIVE_INFINITY
  }
}
