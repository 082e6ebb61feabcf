import type { Capabilities, Limits } from '@msgloop/core/driver'

export const KIB = 1_024
export const MIB = 1_048_576
/** A leap year: clause W1 promises no more, and the heap could hold any delay. */
export const YEAR_MS = 366 * 86_400_000
/** No end. Not `Infinity`, which JSON cannot carry into a report. */
export const UNLIMITED = Number.MAX_SAFE_INTEGER
const DAY_MS = 86_400_000

/** What a memory broker is: what it tells the core, and what only it must know. */
export interface Profile {
  readonly capabilities: Capabilities
  /** Leases are rounded up to this. */
  readonly leaseResolutionMs: number
}

/** Frozen all through. */
export function profile(capabilities: Capabilities, leaseResolutionMs = 1): Profile {
  return Object.freeze({
    leaseResolutionMs,
    capabilities: Object.freeze({
      ...capabilities,
      limits: Object.freeze({ ...capabilities.limits }),
      stats: Object.freeze([...capabilities.stats]),
    }),
  })
}

/**
 * Nothing here is a limit of the machine. They are numbers that are enforced, and high enough to be
 * no hindrance; of brokers, only RabbitMQ takes bodies this large.
 */
const LIMITS: Limits = {
  bodyBytes: 16 * MIB,
  headerCount: 256,
  headerBytes: 64 * KIB,
  delayMs: YEAR_MS,
  delayResolutionMs: 1,
  leaseMs: UNLIMITED,
  sendBatch: 1_000,
  sendBatchBytes: 64 * MIB,
  sendsInFlight: 16,
  sendLingerMs: 0,
  receiveBatch: 1_000,
  settleBatch: 1_000,
  settleLingerMs: 0,
}

/**
 * The memory broker as itself. "Taken responsibility" means stored in the memory of this process:
 * messages outlive drivers and receivers, not the process.
 */
export const MEMORY: Profile = profile({
  limits: LIMITS,
  lease: 'renewable',
  retry: 'copy',
  releaseCounts: false,
  dedupWindowMs: DAY_MS,
  browse: 'free',
  purgesDelayed: true,
  stats: ['ready', 'inFlight', 'delayed', 'oldestAgeMs', 'consumers'],
  order: 'broker',
  topics: true,
  replies: true,
})
