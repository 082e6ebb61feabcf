import {
  type Delivery,
  type Failure,
  PushBuffer,
  type Receiver,
  type ReceiverOptions,
  type Settlement,
  systemClock,
} from '@msgloop/core/driver'
import type { Session } from './connection.js'
import { ConsumerChannel } from './consumer-channel.js'
import type { Copies } from './copies.js'
import type { Token } from './token.js'
import { decode } from './wire.js'

export const deliveryOf = (token: Token): Delivery<Token> => ({
  ...decode(token.message),
  token,
  native: token.message,
})

/** The messages of one queue, through one consumer. */
export class RabbitmqReceiver implements Receiver<Token> {
  readonly #inbox: PushBuffer<Token>
  readonly #consumer: ConsumerChannel
  /** Nobody wants to hear of a loss once it is being closed. */
  #closing: Promise<void> | undefined
  #stopping: Promise<void> | undefined

  static async open(
    session: Session,
    queue: string,
    options: ReceiverOptions,
    copies: Copies,
    signal: AbortSignal,
  ): Promise<RabbitmqReceiver> {
    const inbox = new PushBuffer<Token>(systemClock)
    let receiver: RabbitmqReceiver | undefined
    const consumer = await ConsumerChannel.open(
      session,
      queue,
      options,
      copies,
      {
        arrived: (token) => inbox.push(token),
        cancelled: (error) => inbox.end(error),
        ended(lost) {
          inbox.drain()
          inbox.end(lost)
          if (receiver && !receiver.#closing) options.onLost(lost)
        },
      },
      signal,
    )
    receiver = new RabbitmqReceiver(consumer, inbox)
    return receiver
  }

  private constructor(consumer: ConsumerChannel, inbox: PushBuffer<Token>) {
    this.#consumer = consumer
    this.#inbox = inbox
  }

  async receive(max: number, waitMs: number, signal: AbortSignal): Promise<readonly Delivery<Token>[]> {
    const tokens = await this.#inbox.take(max, waitMs, signal)
    return tokens.map(deliveryOf)
  }

  settle(batch: readonly Settlement<Token>[], signal?: AbortSignal): Promise<readonly Failure[]> {
    return this.#consumer.settle(batch, signal)
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  close(): Promise<void> {
    this.#closing ??= this.#consumer.close()
    return this.#closing
  }

  async #stop(): Promise<void> {
    await this.#consumer.cancel()
    for (const token of this.#inbox.drain()) this.#consumer.release(token)
  }
}
