import { MsgloopError } from './error.js'

/** A number of milliseconds, or a typed string: `500`, `'500ms'`, `'30s'`, `'15m'`, `'2h'`, `'3d'`. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`

const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/**
 * Milliseconds of a duration.
 *
 * @throws MsgloopError `INVALID` for anything but a finite number ≥ 0 or a string of that form
 * @example milliseconds('option "delay"', '1.5s') // 1500
 */
export function milliseconds(what: string, duration: Duration): number {
  if (typeof duration === 'number') {
    if (Number.isFinite(duration) && duration >= 0) return duration
  } else if (typeof duration === 'string') {
    const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(duration)
    if (match) return Number(match[1]) * (UNIT_MS[match[2] as string] as number)
  }
  throw new MsgloopError(
    'INVALID',
    `${what} is ${JSON.stringify(duration) ?? String(duration)}; give milliseconds ≥ 0, or a string such as '500ms', '30s', '15m', '2h' or '3d'`,
  )
}

/** As `milliseconds`, and more than 0. */
export function positiveMilliseconds(what: string, duration: Duration): number {
  const ms = milliseconds(what, duration)
  if (ms > 0) return ms
  throw new MsgloopError('INVALID', `${what} must be more than 0`)
}
