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

/** In this time the broker has pushed what it has; unless other consumers got it. */
const PUSH_MS = 250

/** How long to wait for what the broker is about to push: whoever wants what is there at once must not miss it. */
export async function pushTime(session: Session, queues: readonly string[]): Promise<number> {
  try {
    return await session.look(async (channel) => {
      for (const queue of queues) if ((await channel.checkQueue(queue)).messageCount > 0) return PUSH_MS
      return 0
    })
  } catch {
    // Whatever ails the queue or the connection, the consumer will hear of it itself.
    return 0
  }
}

/** The messages of one queue, through one consumer. */
export class RabbitmqReceiver implements Receiver<Token> {
  readonly #session: Session
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
    receiver = new RabbitmqReceiver(session, consumer, inbox)
    return receiver
  }

  private constructor(session: Session, consumer: ConsumerChannel, inbox: PushBuffer<Token>) {
    this.#session = session
    this.#consumer = consumer
    this.#inbox = inbox
  }

  async receive(max: number, waitMs: number, signal: AbortSignal): Promise<readonly Delivery<Token>[]> {
    const tokens = await this.#inbox.take(max, waitMs, signal)
    if (tokens.length > 0 || waitMs > 0 || this.#consumer.full || signal.aborted)
      return tokens.map(deliveryOf)
    const pushMs = await pushTime(this.#session, [this.#consumer.queue])
    return (await this.#inbox.take(max, pushMs, signal)).map(deliveryOf)
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
