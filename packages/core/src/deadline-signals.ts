import type { CancelTimer, Clock } from './clock.js'
import { stopController } from './stop-signal.js'

/** Calls begun within so many ms share a signal: an AbortController for each would cost more than the call. */
const WINDOW_MS = 250

interface Window {
  readonly controller: AbortController
  readonly until: number
}

/** Abort signals for many calls that may each take equally long. */
export class DeadlineSignals {
  readonly #clock: Clock
  readonly #ms: number
  #windows: Window[] = []
  #timer: CancelTimer | undefined

  constructor(clock: Clock, ms: number) {
    this.#clock = clock
    this.#ms = ms
  }

  /** For a call that begins now: aborts when its time is over, or up to 250 ms later. */
  next(): AbortSignal {
    const due = this.#clock.elapsed() + this.#ms
    let window = this.#windows.at(-1)
    if (!window || due > window.until) {
      window = { controller: stopController(), until: due + WINDOW_MS }
      this.#windows.push(window)
      this.#arm()
    }
    return window.controller.signal
  }

  /** Aborts all. */
  abort(): void {
    for (const { controller } of this.#windows) controller.abort()
    this.stop()
  }

  /** No call is under way any more. */
  stop(): void {
    this.#timer?.()
    this.#timer = undefined
    this.#windows = []
  }

  #arm(): void {
    const first = this.#windows[0]
    if (this.#timer || !first) return
    this.#timer = this.#clock.after(first.until - this.#clock.elapsed(), () => {
      this.#timer = undefined
      this.#windows.shift()?.controller.abort()
      this.#arm()
    })
  }
}
