const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** From its receipt on, a message can be kept invisible for so long in all. */
export const LEASE_CAP_MS = 12 * HOUR_MS
/** What `DelaySeconds` reaches. */
export const SEND_DELAY_MS = 900_000
export const LONGEST_DELAY_MS = 366 * DAY_MS
/** SQS deletes what is older, and has no longer retention. */
export const LONGEST_RETENTION_MS = 14 * DAY_MS

/** One hop: a little less than the cap, which the way to the broker counts against. */
export const HOP_MS = LEASE_CAP_MS - 5 * 60_000
/** A message is stored afresh this long before the queue would delete it. */
const CLEAR_OF_RETENTION_MS = DAY_MS

/** A message that is younger is not near the end of the retention of any queue that is meant to last. */
export const YOUNG_MS = 6 * HOUR_MS

/** SQS knows whole seconds; a wait is never shorter than asked for. */
export const wholeSeconds = (ms: number): number => Math.ceil(ms / 1_000)

/** What a receipt of a delayed message is to become. */
export type Step =
  /** Its time has come. `hops`: receipts of this stored message that were no delivery. */
  | { readonly kind: 'deliver'; readonly hops: 0 | 1 }
  /** Invisible for so long again. */
  | { readonly kind: 'hold'; readonly ms: number }
  /** Stored afresh with what is left of its delay, then deleted. */
  | { readonly kind: 'renew'; readonly ms: number }

export interface Waiting {
  /** Waits this long from when it was stored; 0: not at all, or by `DelaySeconds` alone. */
  readonly delayMs: number
  /** By the broker's clock, as is `now`. */
  readonly storedAt: number
  readonly now: number
  /** Receipts of this stored message, this one included. */
  readonly count: number
  readonly retentionMs: number
  /** In a queue that is ordered by key, where it waits outside its key, and a copy takes its turn. */
  readonly keyed: boolean
}

/**
 * A delay over 900 s goes by hops that lose nothing: the message is received, and made invisible again.
 *
 * Attempts are counted by receipts, so the receipts that were hops must be known. A delay of up to one hop has
 * exactly one, its first, whenever that happens; also when it is overdue by then. A longer one ends in a copy
 * that has one hop left, and so do those that the queue's retention would end. Where messages are ordered by key
 * each ends in a copy.
 */
export function nextStep({ delayMs, storedAt, now, count, retentionMs, keyed }: Waiting): Step {
  if (delayMs === 0) return { kind: 'deliver', hops: 0 }
  const left = Math.max(0, storedAt + delayMs - now)
  if (delayMs <= HOP_MS && !keyed) {
    if (count > 1 && left === 0) return { kind: 'deliver', hops: 1 }
    return { kind: 'hold', ms: left }
  }
  const ms = Math.min(left, HOP_MS)
  if (left <= (keyed ? 0 : HOP_MS) || outlives(now - storedAt + ms, retentionMs))
    return { kind: 'renew', ms: left }
  return { kind: 'hold', ms }
}

/** Whether a message of this age would come near the end of its retention. */
export function outlives(ageMs: number, retentionMs: number): boolean {
  return ageMs > Math.max(retentionMs - CLEAR_OF_RETENTION_MS, retentionMs / 2)
}
