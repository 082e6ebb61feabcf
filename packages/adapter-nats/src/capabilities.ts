import type { Capabilities } from '@msgloop/core/driver'

/** The longest nak that is promised; the server's own limit is 292 years. */
export const LONGEST_DELAY_MS = 366 * 86_400_000

/** Measured on 2.9.10, 2.10.27 and 2.15.1. Known before connecting, so settings of the server are their defaults. */
export const capabilities: Capabilities = Object.freeze({
  limits: Object.freeze({
    /** `max_payload` is 1 MiB, headers included; they may have 64 KiB. */
    bodyBytes: (1024 - 64) * 1024,
    /** The rest of the 64 KiB is for encoding what is not plain text, and for the core's records. */
    headerCount: 64,
    headerBytes: 16 * 1024,
    delayMs: LONGEST_DELAY_MS,
    delayResolutionMs: 1,
    /** A lease can be renewed for ever. */
    leaseMs: Number.MAX_SAFE_INTEGER,
    sendBatch: 512,
    sendBatchBytes: 4 * 1024 * 1024,
    sendsInFlight: 64,
    sendLingerMs: 0,
    receiveBatch: 1_000,
    settleBatch: 1_000,
    settleLingerMs: 0,
  }),
  lease: 'renewable',
  retry: 'in-place',
  releaseCounts: true,
  /** The server forgets the ids of acked messages when it restarts (measured). */
  dedupWindowMs: 0,
  browse: 'free',
  purgesDelayed: true,
  /**
   * The server counts what was never handed over, and what was handed over and is not acked: in flight,
   * waiting for a delay, and given back, in one number. So it cannot tell what is ready.
   */
  stats: Object.freeze(['oldestAgeMs'] as const),
  order: 'broker',
  topics: true,
  replies: true,
})
