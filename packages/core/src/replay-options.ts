import type { ReplayOptions, ReplayProgress } from './dead-letters.js'
import { milliseconds } from './duration.js'
import { MsgloopError } from './error.js'
import { checkQueueName } from './names.js'
import { onlyKnown, positiveInteger, wholeNumber } from './options.js'

const KNOWN: readonly (keyof ReplayOptions)[] = [
  'dryRun',
  'limit',
  'rate',
  'to',
  'canary',
  'canaryFailures',
  'canaryWait',
  'onProgress',
  'signal',
]

/** Options of a replay, checked and with every default filled in. */
export interface ReplayPlan {
  readonly dryRun: boolean
  readonly limit: number
  readonly rate: number | undefined
  readonly to: string | undefined
  readonly canary: { readonly count: number; readonly failures: number; readonly waitMs: number } | undefined
  readonly onProgress: ((progress: ReplayProgress) => void) | undefined
  readonly signal: AbortSignal | undefined
}

/** @throws MsgloopError `INVALID` */
export function planReplay(at: string, options: ReplayOptions): ReplayPlan {
  onlyKnown(at, options, KNOWN)
  const { dryRun = false, limit, rate, to, canary, onProgress, signal } = options
  if (to !== undefined) checkQueueName(to)
  const what = (option: keyof ReplayOptions): string => `${at}: option "${option}"`
  if (canary !== undefined && to !== undefined)
    throw new MsgloopError(
      'INVALID',
      `${what('canary')} watches the queue's own dead letters, so it cannot be used together with "to"`,
    )
  if (canary === undefined && (options.canaryFailures !== undefined || options.canaryWait !== undefined))
    throw new MsgloopError('INVALID', `${at}: options "canaryFailures" and "canaryWait" need "canary"`)
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw new MsgloopError('INVALID', `${what('onProgress')} takes a function`)
  return {
    dryRun,
    limit: limit === undefined ? Number.POSITIVE_INFINITY : positiveInteger(what('limit'), limit),
    rate: rate === undefined ? undefined : positiveInteger(what('rate'), rate),
    to,
    canary:
      canary === undefined
        ? undefined
        : {
            count: positiveInteger(what('canary'), canary),
            failures: wholeNumber(what('canaryFailures'), options.canaryFailures ?? 0),
            waitMs: milliseconds(what('canaryWait'), options.canaryWait ?? '1m'),
          },
    onProgress,
    signal,
  }
}
