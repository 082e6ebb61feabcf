import type { ConsumeOptions } from './consumer.js'
import type { Duration } from './duration.js'
import type { Message } from './message.js'

/**
 * Handles several messages at once. Returning acks all of them but those that were failed by `batch.fail`; throwing
 * fails all others, too, each judged by the queue's retry policy as if a handler of its own had thrown.
 */
export type BatchHandler<T> = (messages: readonly Message<T>[], batch: Batch<T>) => unknown

export interface Batch<T> {
  /** Aborts as soon as the signal of one of its messages does: a lease lost, `handlerTimeout`, closing past its deadline. */
  readonly signal: AbortSignal
  /**
   * This message failed, the others are not touched. `Reject` and `RetryAfter` mean what they mean when they are thrown.
   *
   * @throws MsgloopError `INVALID` for a message of another batch, or after the handler ended
   */
  fail(message: Message<T>, error: unknown): void
}

export interface BatchConsumeOptions
  extends Pick<ConsumeOptions, 'handlerTimeout' | 'middleware' | 'name' | 'onError'> {
  /** Most messages in a batch, 1 to 1 000. */
  readonly size: number
  /** How long the first message of a batch waits for others. Default 100 ms. */
  readonly wait?: Duration
  /** Most batches at once. Default 1. */
  readonly concurrency?: number
}
