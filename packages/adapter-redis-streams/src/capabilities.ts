import type { Capabilities } from '@msgloop/core/driver'

const KIB = 1_024
const MIB = 1_024 * KIB

/** Measured on Redis 7.0.15 and 8.0.2 and Valkey 8.1.1. Most are choices: the server's own limits lie far above. */
export const capabilities: Capabilities = Object.freeze({
  limits: Object.freeze({
    /** A string may have 512 MiB, but the one thread of the server stands still while it copies one. */
    bodyBytes: 4 * MIB,
    /** Lua takes some 8 000 values in one call: names and values of all fields. */
    headerCount: 256,
    headerBytes: 64 * KIB,
    delayMs: 366 * 86_400_000,
    delayResolutionMs: 1,
    /** There is none. */
    leaseMs: Number.MAX_SAFE_INTEGER,
    /** As many as the server stores in some 2 ms, for which all its other clients wait. */
    sendBatch: 500,
    sendBatchBytes: 4 * MIB,
    sendsInFlight: 16,
    sendLingerMs: 0,
    receiveBatch: 256,
    settleBatch: 500,
    settleLingerMs: 0,
  }),
  lease: 'renewable',
  retry: 'copy',
  releaseCounts: false,
  dedupWindowMs: 86_400_000,
  browse: 'free',
  purgesDelayed: true,
  stats: Object.freeze(['ready', 'inFlight', 'delayed', 'dead', 'oldestAgeMs', 'consumers'] as const),
  order: 'broker',
  topics: true,
  replies: true,
})
