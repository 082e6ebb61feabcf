/** Stops a timer. May be called twice. */
export type CancelTimer = () => void

/**
 * The only way to time in msgloop: the core and the memory driver wait on a clock, so that tests
 * can move it. Real brokers keep their own time.
 */
export interface Clock {
  /** Epoch ms. */
  now(): number
  /** Ms since some moment, never set back: what deadlines and leases are measured with. */
  elapsed(): number
  /** Calls `fn` once, `ms` from now. Any length. */
  after(ms: number, fn: () => void): CancelTimer
}

/** setTimeout fires at once for more than this (24.8 days), so longer waits are cut in pieces. */
const LONGEST_TIMEOUT_MS = 2_147_483_647

/** The machine's clock. Its timers keep the process alive. */
export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after(ms, fn) {
    let handle: NodeJS.Timeout
    const arm = (left: number): void => {
      const step = Math.min(left, LONGEST_TIMEOUT_MS)
      handle = setTimeout(() => (left > step ? arm(left - step) : fn()), step)
    }
    arm(Math.max(0, ms))
    return () => clearTimeout(handle)
  },
}

/** Resolves after `ms`, or as soon as `signal` aborts. Never rejects. */
export function sleep(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve()
    const done = (): void => {
      cancel()
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const cancel = clock.after(ms, done)
    signal?.addEventListener('abort', done, { once: true })
  })
}

/** Resolves when `work` does, or after `ms`. */
export async function within(clock: Clock, ms: number, work: Promise<void>): Promise<void> {
  let cancel: CancelTimer = () => {}
  const over = new Promise<void>((resolve) => {
    cancel = clock.after(ms, resolve)
  })
  await Promise.race([work, over])
  cancel()
}
