import type { Limits, Verdict } from '@msgloop/core/driver'
import { DriverError } from '@msgloop/core/driver'
import type { Lease } from './lease.js'
import { missing, type QueueState, type Site } from './queue-state.js'
import { withBook } from './stored-message.js'

/**
 * Applies a verdict to a held lease, in one step: there is no moment at which the message is in two
 * places or in none. Returns why it could not, in which case the lease is as it was.
 */
export function settle(
  site: Site,
  queue: QueueState,
  lease: Lease,
  verdict: Verdict,
): DriverError | undefined {
  const { stored } = lease
  const { capabilities } = site.profile
  const now = site.clock.now()
  switch (verdict.kind) {
    case 'ack':
      queue.remove(lease)
      return undefined
    case 'release':
      if (capabilities.releaseCounts) stored.released++
      else stored.handed--
      queue.release(lease)
      return undefined
    case 'retry': {
      const wrong = checkDelay(capabilities.limits, verdict.delayMs)
      if (wrong) return wrong
      if (capabilities.retry === 'in-place') {
        queue.retry(lease, verdict.delayMs)
      } else {
        queue.replace(lease, withBook(stored.message, verdict.headers), verdict.delayMs)
      }
      return undefined
    }
    case 'move': {
      const target = site.queue(verdict.to)
      if (!target) return missing(verdict.to)
      queue.remove(lease)
      target.add({ ...withBook(stored.message, verdict.headers), expiresAt: undefined }, now, 0)
      return undefined
    }
    default:
      throw new TypeError(`unknown verdict ${JSON.stringify(verdict satisfies never)}`)
  }
}

/** Why this delay cannot be had, if it cannot. */
export function checkDelay(limits: Limits, delayMs: number): DriverError | undefined {
  const { delayMs: most, delayResolutionMs: step } = limits
  if (delayMs >= 0 && delayMs <= most && delayMs % step === 0) return undefined
  return new DriverError(
    'INVALID',
    `a delay of ${delayMs} ms; give a multiple of ${step} ms, at most ${most} ms`,
    {
      outcome: 'rejected',
    },
  )
}
