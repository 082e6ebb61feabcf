import type { SubscriptionOptions } from './define-topic.js'
import type { Drift } from './driver.js'
import type { MessageSource, SendOptions, SendResult } from './queue.js'

/** What may go with a published message: all but a delay, which no topic carries, and a lane. */
export type PublishOptions = Omit<SendOptions, 'delay' | 'priority'>

/** One message of `publishBatch`. */
export interface PublishItem<T> extends Omit<PublishOptions, 'signal'> {
  readonly subject: string
  readonly body: T
}

/** A topic of one broker. Made by `broker.topic(definition)`; cheap to ask for, the same each time. */
export interface Topic<T> {
  readonly name: string
  /**
   * Gives a copy to each subscription whose patterns match `subject`; none is no error. Resolves with the
   * message's id once the broker has taken responsibility for all copies.
   *
   * @param subject 1 to 16 segments of letters, digits, `_` and `-`, separated by dots, 127 characters in all
   * @throws MsgloopError with `outcome` `rejected` or `unknown`; `INVALID` for a `delay`
   * @example await orders.publish('order.created.eu', { id: 7 }, { key: 'customer-7' })
   */
  publish(subject: string, body: T, options?: PublishOptions): Promise<string>
  /** One outcome per item, in input order. Never rejects for what became of an item. */
  publishBatch(
    items: readonly PublishItem<T>[],
    options?: { readonly signal?: AbortSignal },
  ): Promise<SendResult[]>
  /**
   * A durable reader group of its own: a queue called `<topic>.<name>` that the topic fills. No I/O: `create`,
   * `consume` or `receive` puts it in place. The same object each time.
   *
   * @throws MsgloopError `UNSUPPORTED` for an option this broker lacks; `INVALID` for a bad name or option, or when
   * it is open with other options
   * @example const billing = orders.subscription('billing', { patterns: ['order.*.eu', 'refund.#'] })
   */
  subscription(name: string, options?: SubscriptionOptions): Subscription<T>
  /** Compares what the broker has with the definition; writes nothing. `[]` when all is as declared. */
  verify(): Promise<readonly Drift[]>
  /** Deletes the topic. Delete its subscriptions first: whether what they hold survives is up to the broker. */
  delete(): Promise<void>
}

/** A durable, independent reader group of a topic. All that holds for a queue holds for it, but for sending. */
export interface Subscription<T> extends MessageSource<T> {
  /** Name of the topic. */
  readonly topic: string
  /** Sorted. */
  readonly patterns: readonly string[]
  /** Puts it in place. It receives what is published from then on. Idempotent. */
  create(): Promise<void>
}
