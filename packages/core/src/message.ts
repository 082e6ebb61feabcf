import type { Lane } from './driver.js'
import type { Duration } from './duration.js'

/** A received message as a handler sees it. */
export interface Message<T> {
  /** The caller's or a generated UUIDv7; the same through retries, dead-lettering and replay. */
  readonly id: string
  readonly body: T
  /** User headers. */
  readonly headers: Readonly<Record<string, string>>
  /** 1 on the first handler run, 2 on the next, … */
  readonly attempt: number
  /** Hand-overs so far, including ones whose process died: at least `attempt`. */
  readonly deliveries: number
  /** How often it was replayed from a dead-letter queue. */
  readonly replays: number
  /** Queue it was received from; `<topic>.<subscription>` of a subscription. */
  readonly queue: string
  /** When it was first sent; `undefined` where a foreign client did not say. */
  readonly timestamp: Date | undefined
  readonly contentType: string | undefined
  readonly type: string | undefined
  readonly schemaVersion: string | undefined
  readonly correlationId: string | undefined
  /** Id of the message that caused this one. */
  readonly causationId: string | undefined
  readonly key: string | undefined
  /** What it was published under, when it came through a topic. */
  readonly subject: string | undefined
  /** Where an answer is expected, when it is a request: an address of the broker. */
  readonly replyTo: string | undefined
  readonly priority: Lane
  readonly expiresAt: Date | undefined
  /** W3C trace context. */
  readonly traceparent: string | undefined
  readonly tracestate: string | undefined
  /**
   * Aborts when going on is pointless: the lease is lost (`LEASE_LOST`), `handlerTimeout` is over
   * (`TIMEOUT`), or the consumer's close deadline has passed (`CLOSED`). Its `reason` is a `MsgloopError`.
   */
  readonly signal: AbortSignal
  /** The client library's own message object. */
  native(): unknown
}

/**
 * A message received by `queue.receive`: settle it yourself. Until then its lease is renewed, up to
 * `maxLease`. Settling again in the same way does nothing; in another way fails with `SETTLED`.
 * A settle fails with `LEASE_LOST` when the message is no longer ours.
 */
export interface Delivery<T> extends Message<T> {
  /** Done: take it off the queue. `answer` is for whoever requested it. */
  ack(answer?: unknown): Promise<void>
  /**
   * Failed: judged by the queue's retry policy as if a handler had thrown `error`, so after the last
   * attempt it is dead-lettered. `delay` overrides the policy's.
   */
  retry(options?: { error?: unknown; delay?: Duration }): Promise<void>
  /** Not processed: give it back at once; costs no attempt. */
  release(): Promise<void>
  /** Dead-letter it now, with reason `rejected`. */
  reject(error?: unknown): Promise<void>
  /**
   * Makes the lease end `lease` from now (default: the queue's `lease`).
   * @throws MsgloopError `UNSUPPORTED` where a lease lasts as long as the connection
   */
  extend(lease?: Duration): Promise<void>
}
