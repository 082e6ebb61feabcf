import type { Queue, SendOptions } from './queue.js'
import type { PublishOptions, Topic } from './topic.js'

/** As `SendOptions`. There is nothing to abort: the send is as long as the transaction. */
export type OutboxOptions = Omit<SendOptions, 'signal'>

/**
 * Sends from inside a transaction of the application: rolled back, nothing is sent; committed, the message is
 * sent at least once, with the id it was given here, by whichever relay comes to it first.
 */
export interface Outbox<Tx> {
  /** For messages to people: `postgres outbox "payments"`. Never a password. */
  readonly name: string
  /**
   * Checks and encodes the message as `queue.send` does, writes it down in `tx`, and resolves with its id.
   * A delay counts from here, by the clock of the database.
   *
   * @throws MsgloopError `INVALID`, `TOO_LARGE` or `UNSUPPORTED`, before any I/O; what the database throws, as it is
   * @example await outbox.send(tx, mails, { to: 'ada@example.com' }, { key: order.customerId })
   */
  send<T>(tx: Tx, queue: Queue<T>, body: T, options?: OutboxOptions): Promise<string>
  /** As `send`, for `topic.publish`. */
  publish<T>(
    tx: Tx,
    topic: Topic<T>,
    subject: string,
    body: T,
    options?: Omit<PublishOptions, 'signal'>,
  ): Promise<string>
}
