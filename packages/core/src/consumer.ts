import type { Duration } from './duration.js'
import type { Inbox } from './inbox.js'
import type { Message } from './message.js'

/**
 * Returning settles with ack; throwing is judged by the queue's retry policy.
 * Throw `Reject` to dead-letter at once, `RetryAfter` to choose the delay. What it returns is the answer, where the
 * message is a request.
 *
 * `tx` is the transaction of the consumer's inbox: what is done in it happens exactly once, when the handler
 * returns. Without an inbox there is none.
 */
export type Handler<T, Tx = undefined> = (body: T, message: Message<T>, tx: Tx) => unknown

/**
 * Wraps handlers. Runs in the order given, outermost first; not calling `next` skips the handler. What it resolves
 * with is the answer, where the message is a request: what `next` resolved with.
 */
export interface Middleware {
  (message: Message<unknown>, next: () => Promise<unknown>): Promise<unknown>
  /**
   * It may wait before it calls `next`, as `rateLimit` and `circuitBreaker` do: it runs outside all other middleware, an
   * attempt begins when it calls `next`, and `handlerTimeout` runs from then. Pausing and closing give back what waits;
   * `message.signal` aborts then.
   */
  readonly waits?: boolean
}

export interface ConsumeOptions<Tx = undefined> {
  /** Most handlers running at once. Default 16. */
  readonly concurrency?: number
  /** Messages fetched ahead beyond free slots. Default 0: none waits here while another consumer is idle. */
  readonly prefetch?: number
  /**
   * A handler that has not ended after this long has failed, and its slot is free. Default: no limit. Past
   * `maxLease` its message goes to another consumer, but a handler that heeds no signal keeps its slot.
   */
  readonly handlerTimeout?: Duration
  readonly middleware?: readonly Middleware[]
  /** Shown in events and in attempt records. Default `<host>:<pid>:<n>`. */
  readonly name?: string
  /**
   * Told of trouble that no caller sees: a fetch or a settle that failed and is being tried again.
   * Default: a process warning, once per kind.
   */
  readonly onError?: (error: unknown) => void
  /**
   * Where handled messages are marked, in the transaction of their effects. Needed by a queue with
   * `guarantee: 'exactly-once'`, and refused by any other.
   */
  readonly inbox?: Inbox<Tx>
}

export type ConsumerState = 'running' | 'paused' | 'closing' | 'closed'

/** The running loop that feeds a handler. */
export interface Consumer {
  readonly name: string
  readonly queue: string
  readonly state: ConsumerState
  /** Handlers running right now. */
  readonly running: number
  /** Resolves when it first receives from the broker; rejects when it never can (`DENIED`, `DRIFT`, …). */
  readonly ready: Promise<void>
  concurrency: number
  /** Stops fetching and gives back what no handler has started. Running handlers go on. */
  pause(): Promise<void>
  resume(): void
  /**
   * Stops fetching, lets running handlers finish and settle, and resolves when it is truly over.
   * After `timeout` (default 30 s) it aborts `message.signal` and releases what is still running.
   * May be called twice, and by two callers.
   */
  close(options?: { readonly timeout?: Duration }): Promise<void>
}
