import type { Capabilities } from '@msgloop/core/driver'
import { LONGEST_DELAY_MS, STEP_MS } from './delay.js'

/** Measured on 3.10.8 and 4.0.5. Known before connecting, so where versions differ it is the smaller. */
export const capabilities: Capabilities = Object.freeze({
  limits: Object.freeze({
    /** `max_message_size` of 4.x. 3.x takes 128 MiB, but a message must survive an upgrade. */
    bodyBytes: 16 * 1024 * 1024,
    /** amqplib encodes all headers in 64 KiB: 16 KiB of the user's leave room for the core's records. */
    headerCount: 64,
    headerBytes: 16 * 1024,
    delayMs: LONGEST_DELAY_MS,
    delayResolutionMs: STEP_MS,
    /** One minute less than the broker's default `consumer_timeout`, which closes the whole channel. */
    leaseMs: 29 * 60_000,
    sendBatch: 512,
    sendBatchBytes: 16 * 1024 * 1024,
    sendsInFlight: 64,
    sendLingerMs: 0,
    receiveBatch: 256,
    settleBatch: 512,
    settleLingerMs: 0,
  }),
  lease: 'connection',
  retry: 'copy',
  /** True of 4.0 to 4.2 (`x-delivery-count` counts every return); 3.x and 4.3 hold it against nobody's limit. */
  releaseCounts: true,
  dedupWindowMs: 0,
  browse: 'lease',
  /** Delayed messages are in the delay levels, which all queues share. */
  purgesDelayed: false,
  stats: Object.freeze(['ready', 'dead', 'consumers'] as const),
  order: 'process',
  topics: true,
  replies: true,
})
