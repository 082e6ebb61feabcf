import type { Source } from '@msgloop/core/driver'
import type { Settings } from './objects.js'

/**
 * From 4.0 on a quorum queue without a limit drops what was given back 20 times, and a look into a
 * dead-letter queue gives back. "Unlimited" (-1) exists from 4.0 on; 3.x takes it for less than none and
 * drops at the first return (measured). Arguments can never change, so the same large number is declared
 * everywhere and an upgrade finds no difference.
 */
export const NEVER = 2_000_000_000

/** The longest `x-message-ttl` the broker takes: ten years. */
const LONGEST_TTL_MS = 315_360_000_000

/** At-least-once dead-lettering is silently off unless the queue refuses what it has no room for. */
export const SAFE_DEAD_LETTERING = {
  'x-dead-letter-strategy': 'at-least-once',
  'x-overflow': 'reject-publish',
}

export function queueSettings(spec: Source): Settings {
  return spec.order === 'none'
    ? plainSettings(spec)
    : { ...plainSettings(spec), 'x-single-active-consumer': true }
}

function plainSettings(spec: Source): Settings {
  if (spec.role === 'work' && spec.deadLetter !== undefined)
    return {
      durable: true,
      'x-queue-type': 'quorum',
      'x-delivery-limit': spec.deliveryLimit ?? NEVER,
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': spec.deadLetter,
      ...SAFE_DEAD_LETTERING,
    }
  return {
    durable: true,
    'x-queue-type': 'quorum',
    'x-delivery-limit': NEVER,
    ...(spec.retentionMs === undefined
      ? {}
      : { 'x-message-ttl': Math.min(spec.retentionMs, LONGEST_TTL_MS) }),
  }
}
