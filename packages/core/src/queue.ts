import type { BatchConsumeOptions, BatchHandler } from './batch-handler.js'
import type { ConsumeOptions, Consumer, Handler } from './consumer.js'
import type { DeadLetters } from './dead-letters.js'
import type { Drift, Lane, QueueStats } from './driver.js'
import type { Duration } from './duration.js'
import type { MsgloopError } from './error.js'
import type { Delivery, Message } from './message.js'

/** What may go with a message. */
export interface SendOptions {
  /** Default: a new UUIDv7. At most 128 characters of printable ASCII. */
  readonly id?: string
  /** String to string. Names: letters, digits and `!#$%&'*+.^_|~-`; `msgloop-…` is ours. */
  readonly headers?: Readonly<Record<string, string>>
  /** Wait this long before anybody can receive it, up to a year. Not where the queue has `order`. Default: none. */
  readonly delay?: Duration
  /** Dead-letter it as `expired` when no handler got it within this time. Default: never. */
  readonly ttl?: Duration
  /** Ordering key, of a queue with `order: 'key'`. */
  readonly key?: string
  /** Of a queue with `lanes`. Default `normal`. */
  readonly priority?: Lane
  readonly type?: string
  readonly schemaVersion?: string
  readonly correlationId?: string
  /** Id of the message that caused this one. */
  readonly causationId?: string
  readonly traceparent?: string
  readonly tracestate?: string
  /** Takes correlation id, causation id and trace context from the message being handled. */
  readonly causedBy?: Message<unknown>
  /** Aborting rejects the send at once, with `ABORTED`. */
  readonly signal?: AbortSignal
}

/** What may go with a request. Aborting its `signal` stops waiting: the request may still be handled. */
export interface RequestOptions extends SendOptions {
  /** Longest to wait for the answer, sending included. Default 30 s. */
  readonly timeout?: Duration
  /**
   * Whether the request is dead-lettered as `expired` when no handler got it within `timeout` (or `ttl`), so that
   * nobody works for a caller that is gone. Default true.
   */
  readonly expires?: boolean
}

/** One message of `sendBatch`. */
export interface BatchItem<T> extends Omit<SendOptions, 'signal'> {
  readonly body: T
}

/** What became of one message of `sendBatch`. */
export type SendResult =
  | { readonly ok: true; readonly id: string }
  | { readonly ok: false; readonly id: string | undefined; readonly error: MsgloopError }

export interface ReceiveOptions {
  /** Most messages to return. Default 1. */
  readonly max?: number
  /** How long to wait for the first one. Default 0: return at once. */
  readonly wait?: Duration
  /** Aborting ends the wait with `[]`. */
  readonly signal?: AbortSignal
}

/** What messages are taken from: a queue, or a subscription of a topic. */
export interface MessageSource<T> {
  readonly name: string
  /**
   * Feeds `handler` until closed. Starts at once; see `Consumer`.
   *
   * @example queue.consume((order, message, tx) => bill(tx, order), { inbox: postgresInbox(pool) })
   */
  consume<Tx = undefined>(handler: Handler<T, Tx>, options?: ConsumeOptions<Tx>): Consumer
  /**
   * Feeds `handler` with several messages at once, and an outcome for each. A batch begins when it is full or its first
   * message has waited for `wait`; that is no attempt yet. What no handler may see is in no batch; of a queue with order by
   * key a batch has one message of each key.
   *
   * @throws MsgloopError `UNSUPPORTED` with `guarantee: 'exactly-once'`
   * @example
   * queue.consumeBatch(async (messages, batch) => {
   *   const refused = await table.insert(messages.map(({ body }) => body), { signal: batch.signal })
   *   for (const { index, error } of refused) batch.fail(messages[index], error)
   * }, { size: 100, wait: '200ms' })
   */
  consumeBatch(handler: BatchHandler<T>, options: BatchConsumeOptions): Consumer
  /**
   * The manual form: take up to `max` messages and settle each yourself. Of a queue with order by key it gives one
   * of each key at a time; `retry()` is `UNSUPPORTED` there where `capabilities.order` is `process`.
   * With `guarantee: 'at-most-once'` they are acked already.
   * @throws MsgloopError `UNSUPPORTED` with `guarantee: 'exactly-once'`: an ack by hand is not one with the effects
   */
  receive(options?: ReceiveOptions): Promise<Delivery<T>[]>
  /** What the broker can tell right now. */
  stats(): Promise<QueueStats>
  /** Compares what the broker has with the definition; writes nothing. `[]` when all is as declared. */
  verify(): Promise<readonly Drift[]>
  /**
   * Removes all ready messages, and delayed ones where `capabilities.purgesDelayed`; resolves with how
   * many, where the broker tells.
   */
  purge(): Promise<number | undefined>
  /** Deletes it with its messages. Its dead-letter queue stays. */
  delete(): Promise<void>
  readonly deadLetters: DeadLetters<T>
}

/** A queue of one broker. Made by `broker.queue(definition)`; cheap to ask for, the same each time. */
export interface Queue<T> extends MessageSource<T> {
  /**
   * Resolves with the message's id once the broker has taken responsibility for it. With `guarantee: 'at-most-once'`
   * it does when the message is on its way: what fails then is a process warning.
   *
   * @throws MsgloopError with `outcome` `rejected` or `unknown`
   * @example await queue.send({ id: 7 }, { delay: '3d', headers: { tenant: 'a' } })
   */
  send(body: T, options?: SendOptions): Promise<string>
  /**
   * Sends, and resolves with what the handler returned. At least once, as everything: a handler whose process dies
   * before it is settled runs again, and then answers. Only the first answer counts; later ones are dropped.
   *
   * @throws MsgloopError `REMOTE` when the handler failed for good, with its error as `cause`; `TIMEOUT` when there
   * was no answer in time: with `outcome` `unknown` the request may have been handled, or still be
   * @example const { total } = await prices.request<Price>({ sku: 7 }, { timeout: '5s' })
   */
  request<R = unknown>(body: T, options?: RequestOptions): Promise<R>
  /** One outcome per item, in input order. Never rejects for what became of an item. */
  sendBatch(
    items: readonly BatchItem<T>[],
    options?: { readonly signal?: AbortSignal },
  ): Promise<SendResult[]>
}
