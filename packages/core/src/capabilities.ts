import type { QueueStats } from './driver.js'

/** Numbers of the broker. Each equals the measured limit. */
export interface Limits {
  readonly bodyBytes: number
  /** Of a message for a topic, where that is less than `bodyBytes`. */
  readonly topicBodyBytes?: number
  /** User headers of one message. */
  readonly headerCount: number
  /** UTF-8 bytes of all names and values of user headers. */
  readonly headerBytes: number
  readonly delayMs: number
  readonly delayResolutionMs: number
  /** Longest a delivery can stay unsettled, renewals included. */
  readonly leaseMs: number
  readonly sendBatch: number
  readonly sendBatchBytes: number
  /** Batches of one sender that may be under way at once with order still kept. */
  readonly sendsInFlight: number
  /** Longest a send waits for company; 0 where batches save nothing. */
  readonly sendLingerMs: number
  readonly receiveBatch: number
  readonly settleBatch: number
  readonly settleLingerMs: number
}

/** What the broker does. Frozen data; read by the core and by the conformance suite. */
export interface Capabilities {
  readonly limits: Limits
  /** `connection`: a delivery is ours until the connection dies. `renewable`: until a time that can be moved. */
  readonly lease: 'connection' | 'renewable'
  /** Whether a retry is a new copy of the message, or the same message again. */
  readonly retry: 'copy' | 'in-place'
  /** Whether a released delivery still raises the broker's count of deliveries. */
  readonly releaseCounts: boolean
  /** Longest window in which the broker drops a second message of the same id; 0: it does not. */
  readonly dedupWindowMs: number
  /** `free`: without taking. `lease`: only by taking and giving back. */
  readonly browse: 'free' | 'lease'
  /** Whether `purge` and `delete` reach what waits for a delay, or only what is ready. */
  readonly purgesDelayed: boolean
  /** Fields of `QueueStats` that are numbers. */
  readonly stats: readonly (keyof QueueStats)[]
  /**
   * How a queue with `order: 'key'` keeps the messages of one key in turn. At any time one receiver at most
   * holds messages of a key, also one that was stopped and has not settled them all; it gets them in the order
   * they were sent, perhaps several at once, which the core then runs one after the other. What goes back
   * (released, lease or process gone) comes again in that order. A message without a key is its own key. What is
   * moved there, and what is sent with a delay, goes behind all others of its key.
   *
   * `broker`: what is retried keeps its turn too: no `receive` that begins after the retry was settled hands over
   * a later one of its key before it. The core settles the retry, and then releases what it holds of that key,
   * and what a `receive` under way still brings, in order. Where a release cannot be told from an attempt, a
   * receiver is better given one of a key at a time.
   * `process`: a retry would lose its turn, so the core waits with the message unsettled and runs it again. It
   * opens receivers with a `prefetch` larger by some hundred, of which waiting ones may take all.
   * `none`: refused.
   */
  readonly order: 'none' | 'process' | 'broker'
  readonly topics: boolean
  readonly replies: boolean
}
