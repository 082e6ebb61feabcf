import { describe, expect, test } from 'vitest'
import {
  HOP_MS,
  LEASE_CAP_MS,
  LONGEST_DELAY_MS,
  LONGEST_RETENTION_MS,
  nextStep,
  outlives,
  SEND_DELAY_MS,
  wholeSeconds,
} from './delay.js'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

interface Outcome {
  readonly deliveredAt: number
  /** What the driver would count, given the receipts of the last stored message. */
  readonly attempt: number
  readonly copies: number
  readonly oldest: number
}

/** Of a queue: FIFO where duplicates are dropped, or ordered by key. */
const KINDS = ['standard', 'fifo', 'keyed'] as const
type Kind = (typeof KINDS)[number]

/**
 * Time alone, without a broker: a message is received `lateness()` after it became visible, until it is delivered.
 */
function travel(delayMs: number, kind: Kind, lateness: () => number): Outcome {
  const fifo = kind !== 'standard'
  let now = 0
  let stored = { at: 0, delay: fifo || delayMs > SEND_DELAY_MS ? delayMs : 0, count: 0 }
  let visibleAt = fifo ? 0 : Math.min(delayMs, SEND_DELAY_MS)
  let copies = 0
  let oldest = 0
  for (let receipts = 0; receipts < 10_000; receipts++) {
    now = visibleAt + lateness()
    stored = { ...stored, count: stored.count + 1 }
    oldest = Math.max(oldest, now - stored.at)
    const { at: storedAt, delay, count } = stored
    const known = { storedAt, now, count, retentionMs: LONGEST_RETENTION_MS, keyed: kind === 'keyed' }
    const step = nextStep({ ...known, delayMs: delay })
    if (step.kind === 'deliver') return { deliveredAt: now, attempt: count - step.hops, copies, oldest }
    if (step.kind === 'hold') {
      expect(step.ms).toBeLessThanOrEqual(HOP_MS)
      visibleAt = now + wholeSeconds(step.ms) * 1_000
    } else {
      copies++
      stored = { at: now, delay: fifo || step.ms > SEND_DELAY_MS ? step.ms : 0, count: 0 }
      visibleAt = now + (fifo ? 0 : Math.min(step.ms, SEND_DELAY_MS))
    }
  }
  throw new Error('it was never delivered')
}

const DELAYS = [
  1_000,
  SEND_DELAY_MS,
  SEND_DELAY_MS + 1_000,
  HOUR_MS,
  HOP_MS,
  HOP_MS + 1_000,
  13 * HOUR_MS,
  3 * DAY_MS,
  14 * DAY_MS,
  60 * DAY_MS,
  LONGEST_DELAY_MS,
]

describe('a delay of any length', () => {
  test.each(DELAYS)(
    '%d ms ends on time, as the first attempt, and never in the end of its retention',
    (delayMs) => {
      for (const kind of KINDS) {
        const prompt = travel(delayMs, kind, () => 20)
        expect(prompt.deliveredAt).toBeGreaterThanOrEqual(delayMs)
        expect(prompt.deliveredAt).toBeLessThan(delayMs + 2_000)
        expect(prompt.attempt).toBe(1)
        expect(prompt.oldest).toBeLessThan(LONGEST_RETENTION_MS - DAY_MS / 2)
      }
    },
  )

  test('is the first attempt also when nobody was there to receive it for hours', () => {
    let seed = 7
    const lateness = (): number => {
      seed = (seed * 48_271) % 2_147_483_647
      return (seed % 100) * 0.1 * HOUR_MS
    }
    for (const delayMs of DELAYS)
      for (const kind of KINDS) {
        const late = travel(delayMs, kind, lateness)
        expect(late.deliveredAt).toBeGreaterThanOrEqual(delayMs)
        expect(late.attempt).toBe(1)
      }
  })

  test('is a copy only where one hop does not reach', () => {
    expect(travel(HOP_MS, 'standard', () => 0).copies).toBe(0)
    expect(travel(3 * DAY_MS, 'standard', () => 0).copies).toBe(1)
    expect(travel(LONGEST_DELAY_MS, 'standard', () => 0).copies).toBeGreaterThan(
      LONGEST_DELAY_MS / LONGEST_RETENTION_MS,
    )
  })

  test('is waited for again when a process died between a receipt and its hop', () => {
    const waiting = {
      delayMs: HOUR_MS,
      storedAt: 0,
      now: HOUR_MS / 2,
      count: 2,
      retentionMs: LONGEST_RETENTION_MS,
      keyed: false,
    }
    expect(nextStep(waiting)).toEqual({ kind: 'hold', ms: HOUR_MS / 2 })
  })
})

test('a hop and the way to the broker stay within the 12 hours that SQS hides a message', () => {
  expect(HOP_MS).toBeLessThanOrEqual(LEASE_CAP_MS - 60_000)
})

test('a message is stored afresh long before its queue would delete it', () => {
  expect(outlives(12 * DAY_MS, 14 * DAY_MS)).toBe(false)
  expect(outlives(13 * DAY_MS + 1, 14 * DAY_MS)).toBe(true)
  expect(outlives(20 * HOUR_MS, DAY_MS)).toBe(true)
})
