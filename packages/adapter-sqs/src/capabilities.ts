import type { Capabilities } from '@msgloop/core/driver'
import { LEASE_CAP_MS, LONGEST_DELAY_MS } from './delay.js'

const KIB = 1_024
/** Of one message, and of one batch: bodies, and names, types and values of attributes. */
export const REQUEST_BYTES = 1_024 * KIB

/**
 * What may stand beside a body: 8 KiB of headers, a history of 8 KiB, a dead-letter record with a stack of
 * 4 KiB and the fields, all of it JSON in JSON, where a byte can become seven.
 */
const ATTRIBUTES_BYTES = 128 * KIB

/** A body that is no text travels as base64: four bytes for three. */
const BODY_BYTES = ((REQUEST_BYTES - ATTRIBUTES_BYTES) / 4) * 3

/** What SNS takes, of one message and of one batch, counted alike. */
export const PUBLISH_BYTES = 256 * KIB

/** Beside a body there are no dead-letter record and no history yet. */
const TOPIC_BODY_BYTES = ((PUBLISH_BYTES - 64 * KIB) / 4) * 3

/** Of a target with SNS; without one there are no topics. */
export const capabilities: Capabilities = Object.freeze({
  limits: Object.freeze({
    bodyBytes: BODY_BYTES,
    topicBodyBytes: TOPIC_BODY_BYTES,
    /** All of them are in one attribute. */
    headerCount: 64,
    headerBytes: 8 * KIB,
    delayMs: LONGEST_DELAY_MS,
    delayResolutionMs: 1_000,
    leaseMs: LEASE_CAP_MS,
    sendBatch: 10,
    sendBatchBytes: BODY_BYTES,
    /** Standard queues keep no order that more requests at once could break. */
    sendsInFlight: 32,
    sendLingerMs: 5,
    receiveBatch: 10,
    settleBatch: 10,
    settleLingerMs: 10,
  }),
  lease: 'renewable',
  retry: 'in-place',
  releaseCounts: true,
  /** Of FIFO queues, which are made where a window is asked for. It is never shorter. */
  dedupWindowMs: 300_000,
  browse: 'lease',
  purgesDelayed: false,
  /** What is not visible is in flight or waits for a retry: SQS counts them as one. */
  stats: Object.freeze(['ready', 'dead', 'requests'] as const),
  order: 'broker',
  topics: true,
  replies: true,
})
