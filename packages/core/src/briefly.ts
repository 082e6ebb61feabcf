import { systemClock } from './clock.js'

/** What a graceful end may take before a socket is destroyed. */
export const GRACE_MS = 2_000

/** Resolves with true when `work` is over, however it ended, or with false after 2 s: a dead peer answers nothing. */
export function briefly(work: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const cancel = systemClock.after(GRACE_MS, () => resolve(false))
    const over = (): void => {
      cancel()
      resolve(true)
    }
    work.then(over, over)
  })
}
