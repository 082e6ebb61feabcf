import type { Driver, SendOutcome } from './driver.js'
import { DriverError } from './driver-error.js'
import { MsgloopError } from './error.js'
import { isA, reasonOf } from './reason.js'

/** What was being done, for the person who reads the error. */
export interface Doing {
  /** Infinitive: `send to`, `receive from`, … */
  readonly action: string
  readonly queue?: string
  readonly topic?: string
}

/**
 * The one place where a driver's error becomes ours.
 *
 * @param outcome for sends: what it means for the message unless the driver is certain of better
 */
export function wrap(
  driver: Driver,
  { action, queue, topic }: Doing,
  error: unknown,
  outcome?: SendOutcome,
): MsgloopError {
  if (isA(error, MsgloopError)) return error
  const sorted = isA(error, DriverError) ? error : driver.classify(error)
  const object = topic !== undefined ? ` topic "${topic}"` : queue !== undefined ? ` queue "${queue}"` : ''
  const what = `${action}${object}`
  const reason = reasonOf(error)
  return new MsgloopError(sorted.code, `${driver.name} at ${driver.address}: cannot ${what}: ${reason}`, {
    retryable: sorted.retryable,
    outcome: outcome === undefined ? undefined : (sorted.outcome ?? outcome),
    cause: error,
  })
}
