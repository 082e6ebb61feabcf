import type { CancelTimer, Clock } from './clock.js'

/** Those who wait, first come first served; whoever's signal aborts leaves the line. */
export class WaitingLine {
  readonly #clock: Clock
  readonly #line = new Set<() => void>()
  #timer: CancelTimer | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#line.size
  }

  /** Resolves when it is let through. Rejects with the signal's reason when that aborts. */
  join(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const through = (): void => {
        this.#leave(through)
        signal.removeEventListener('abort', giveUp)
        resolve()
      }
      const giveUp = (): void => {
        this.#leave(through)
        reject(signal.reason)
      }
      this.#line.add(through)
      signal.addEventListener('abort', giveUp, { once: true })
    })
  }

  /** Calls `ring` after `ms`, unless it is to ring already or nobody waits then. No timer outlives the line. */
  ringIn(ms: number, ring: () => void): void {
    this.#timer ??= this.#clock.after(Math.max(1, ms), () => {
      this.#timer = undefined
      ring()
    })
  }

  /** Lets through whoever waits longest. */
  next(): void {
    const [through] = this.#line
    through?.()
  }

  all(): void {
    for (const through of [...this.#line]) through()
  }

  #leave(through: () => void): void {
    this.#line.delete(through)
    if (this.#line.size > 0) return
    this.#timer?.()
    this.#timer = undefined
  }
}
