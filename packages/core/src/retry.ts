import type { Duration } from './duration.js'
import { milliseconds } from './duration.js'
import { MsgloopError } from './error.js'

/** When to try again. Made by `exponential`, `linear`, `fixed`, `immediate` or `custom`. */
export interface RetryPolicy {
  /** Handler runs in all, the first included; then the message is dead-lettered. */
  readonly attempts: number
  /** Stop retrying when this long has passed since the first attempt began. Absent: no such limit. */
  readonly maxElapsedMs?: number
  /** Milliseconds between failed attempt `attempt` (1, 2, …) and the next. `random` is in [0, 1). */
  delayMs(attempt: number, error: unknown, random: () => number): number
}

interface CommonOptions {
  /** Handler runs in all, the first included. */
  readonly attempts: number
  /**
   * Takes a random part off each delay, so that messages which failed together do not come back
   * together. `true` is 0.5: between half and all of the delay. Default `false`.
   */
  readonly jitter?: boolean | number
  /** Stop retrying when this long has passed since the first attempt began. Default: no limit. */
  readonly maxElapsed?: Duration
}

/** `from`, `from × factor`, `from × factor²`, …, each at most `max`. Default factor 2, max 1 h. */
export function exponential(
  options: CommonOptions & { readonly from: Duration; readonly factor?: number; readonly max?: Duration },
): RetryPolicy {
  const from = milliseconds('retry option "from"', options.from)
  const factor = options.factor ?? 2
  if (!(Number.isFinite(factor) && factor >= 1))
    throw new MsgloopError('INVALID', `retry option "factor" is ${factor}; give a number ≥ 1`)
  return policy(options, options.max, (attempt) => from * factor ** (attempt - 1))
}

/** `from`, `from + step`, `from + 2 × step`, …, each at most `max`. Default step `from`, max 1 h. */
export function linear(
  options: CommonOptions & { readonly from: Duration; readonly step?: Duration; readonly max?: Duration },
): RetryPolicy {
  const from = milliseconds('retry option "from"', options.from)
  const step = milliseconds('retry option "step"', options.step ?? from)
  return policy(options, options.max, (attempt) => from + step * (attempt - 1))
}

/** The same delay every time. */
export function fixed(options: CommonOptions & { readonly delay: Duration }): RetryPolicy {
  const delay = milliseconds('retry option "delay"', options.delay)
  return policy(options, delay, () => delay)
}

/** No delay. */
export function immediate(options: { readonly attempts: number }): RetryPolicy {
  return policy(options, 0, () => 0)
}

/**
 * Any other schedule: `delay` is asked after each failed attempt.
 *
 * @example custom({ attempts: 4, delay: (attempt) => (attempt === 1 ? '1s' : '1m') })
 */
export function custom(
  options: CommonOptions & { readonly delay: (attempt: number, error: unknown) => Duration },
): RetryPolicy {
  return policy(options, Number.MAX_SAFE_INTEGER, (attempt, error) =>
    milliseconds('the delay of a custom retry policy', options.delay(attempt, error)),
  )
}

const DEFAULT_MAX: Duration = '1h'

function policy(
  { attempts, jitter = false, maxElapsed }: CommonOptions,
  max: Duration | undefined,
  delay: (attempt: number, error: unknown) => number,
): RetryPolicy {
  if (!(Number.isSafeInteger(attempts) && attempts >= 1))
    throw new MsgloopError('INVALID', `retry option "attempts" is ${attempts}; give a whole number ≥ 1`)
  const ratio = jitter === true ? 0.5 : jitter === false ? 0 : jitter
  if (!(ratio >= 0 && ratio <= 1))
    throw new MsgloopError(
      'INVALID',
      `retry option "jitter" is ${jitter}; give a boolean or a number from 0 to 1`,
    )
  const maxMs = milliseconds('retry option "max"', max ?? DEFAULT_MAX)
  return {
    attempts,
    ...(maxElapsed !== undefined && { maxElapsedMs: milliseconds('retry option "maxElapsed"', maxElapsed) }),
    delayMs: (attempt, error, random) => Math.min(delay(attempt, error), maxMs) * (1 - ratio * random()),
  }
}

/**
 * Thrown by a handler: try again after exactly this long, whatever the policy's delay is.
 * Counts as an attempt; after the last one the message is dead-lettered.
 *
 * @example throw new RetryAfter('10s', { cause: error })
 */
export class RetryAfter extends Error {
  override readonly name = 'RetryAfter'
  readonly delayMs: number

  constructor(delay: Duration, options?: { cause?: unknown }) {
    super(`retry after ${delay}`, options)
    this.delayMs = milliseconds('RetryAfter', delay)
  }
}
