import { AssertionError } from 'node:assert/strict'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Capabilities } from '@msgloop/core'
import { between } from './expect.js'

/** Two clocks of one machine, each rounded to a millisecond. */
const ROUNDING_MS = 2
const RESOLUTION_MS = 10

/**
 * Something came later than it may. On a machine that others use too that can be their doing, so the
 * runner gives the case a second chance; coming too early is never forgiven.
 */
export class Late extends AssertionError {
  constructor(message: string) {
    super({ message })
  }
}

/** Measures how long this process stood still, which no broker can be blamed for. */
export interface Stalls {
  readonly longestMs: () => number
  readonly stop: () => void
}

export function watchStalls(): Stalls {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  histogram.enable()
  return {
    longestMs: () => Math.max(0, histogram.max / 1e6 - RESOLUTION_MS),
    stop: () => histogram.disable(),
  }
}

/** T2 and W1: never early, and late by at most 250 ms and 5 %, after rounding up to the broker's resolution. */
export function onTime(
  what: string,
  seenMs: number,
  askedMs: number,
  { limits }: Capabilities,
  stalls: Stalls,
): void {
  const rounded = Math.ceil(askedMs / limits.delayResolutionMs) * limits.delayResolutionMs
  notEarly(what, seenMs, askedMs)
  notLate(what, seenMs, rounded * 1.05 + 250 + stalls.longestMs())
}

/** @throws Late */
export function notLate(what: string, seenMs: number, latestMs: number): void {
  if (seenMs <= latestMs) return
  throw new Late(`${what}: expected at most ${Math.round(latestMs)}, saw ${Math.round(seenMs)}`)
}

export function notEarly(what: string, seenMs: number, askedMs: number): void {
  between(what, seenMs, askedMs - ROUNDING_MS, Number.POSITIVE_INFINITY)
}
