import assert from 'node:assert/strict'
import { describe } from './expect.js'

export interface Deferred<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
}

export function deferred<T = void>(): Deferred<T> {
  let settle: (value: T) => void = () => {}
  const promise = new Promise<T>((resolve) => {
    settle = resolve
  })
  return { promise, resolve: settle }
}

/** Resolves after `ms`. Only for cases that watch the clock, and to see that nothing more happens. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

const POLL_MS = 10

/**
 * Waits for a fact: reads until `holds`, and resolves with what was read.
 *
 * @throws AssertionError with what was waited for and what was seen last, when `signal` aborts
 */
export async function until<T>(
  signal: AbortSignal,
  what: string,
  read: () => T | Promise<T>,
  holds: (value: T) => boolean,
): Promise<T> {
  for (;;) {
    const value = await read()
    if (holds(value)) return value
    if (signal.aborted)
      throw new assert.AssertionError({ message: `waited for ${what}; last saw ${describe(value)}` })
    await pause(POLL_MS)
  }
}

/** `promise`, or an error saying what was waited for when `signal` aborts before it settles. */
export async function settled<T>(signal: AbortSignal, what: string, promise: Promise<T>): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    const abort = (): void =>
      reject(new assert.AssertionError({ message: `waited for ${what}; it did not happen` }))
    if (signal.aborted) return abort()
    signal.addEventListener('abort', abort, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort))
  })
}
