import type { Clock } from './clock.js'

/**
 * Turns a broker that pushes into one that is pulled from: the driver pushes, `take` hands out.
 * Flow control stays with whoever pulls; the broker's prefetch bounds what can pile up here.
 */
export class PushBuffer<T> {
  readonly #clock: Clock
  #items: T[] = []
  #waiters: { max: number; done: (items: T[]) => void; fail: (error: unknown) => void }[] = []
  #ended: { error: unknown } | undefined
  #waking = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  push(item: T): void {
    this.#items.push(item)
    // One socket read brings many messages in one tick: wait for its end, then hand them out together.
    if (this.#waking || this.#waiters.length === 0) return
    this.#waking = true
    queueMicrotask(() => {
      this.#waking = false
      for (const waiter of [...this.#waiters]) {
        if (this.#items.length === 0) return
        waiter.done(this.#cut(waiter.max))
      }
    })
  }

  /** Resolves with 1..`max` items as soon as any is there, or `[]` after `waitMs` or on abort. */
  take(max: number, waitMs: number, signal: AbortSignal): Promise<T[]> {
    if (this.#items.length > 0) return Promise.resolve(this.#cut(max))
    if (this.#ended) return Promise.reject(this.#ended.error)
    if (waitMs <= 0 || signal.aborted) return Promise.resolve([])
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        cancel()
        signal.removeEventListener('abort', stop)
        this.#waiters = this.#waiters.filter((w) => w !== waiter)
      }
      const stop = (): void => waiter.done([])
      const waiter = {
        max,
        done: (items: T[]) => {
          settle()
          resolve(items)
        },
        fail: (error: unknown) => {
          settle()
          reject(error)
        },
      }
      const cancel = this.#clock.after(waitMs, stop)
      signal.addEventListener('abort', stop, { once: true })
      this.#waiters.push(waiter)
    })
  }

  /** Empties it: what was pushed and never taken. */
  drain(): T[] {
    return this.#items.splice(0)
  }

  /** From now on `take` fails with `error`, once the items are gone. */
  end(error: unknown): void {
    if (this.#ended) return
    this.#ended = { error }
    for (const waiter of [...this.#waiters]) waiter.fail(error)
  }

  #cut(max: number): T[] {
    return this.#items.length <= max ? this.#items.splice(0) : this.#items.splice(0, max)
  }
}
