import { once } from 'node:events'
import type { ChannelModel } from 'amqplib'
import { connect } from 'amqplib'

/** A careful hand-written amqplib program: the yardstick. Same queue, confirms, prefetch and JSON as ours. */
export class RawAmqplib {
  readonly #model: ChannelModel

  private constructor(model: ChannelModel) {
    this.#model = model
  }

  static async open(url: string): Promise<RawAmqplib> {
    return new RawAmqplib(await connect(url, { noDelay: true }))
  }

  /** Sends with `window` unconfirmed at once, each confirmed. */
  async send(queue: string, count: number, window: number, body: unknown): Promise<void> {
    const sender = await this.sender(queue)
    for (let sent = 0; sent < count; sent += window)
      await Promise.all(Array.from({ length: Math.min(window, count - sent) }, () => sender.send(body)))
    await sender.close()
  }

  /** A confirm channel; `send` resolves on the broker's confirm. */
  async sender(queue: string): Promise<{ send(body: unknown): Promise<void>; close(): Promise<void> }> {
    const channel = await this.#model.createConfirmChannel()
    let sent = 0
    return {
      send: (body) =>
        new Promise((resolve, reject) => {
          channel.publish(
            '',
            queue,
            Buffer.from(JSON.stringify(body)),
            {
              persistent: true,
              mandatory: true,
              messageId: `raw-${sent++}`,
              contentType: 'application/json',
              timestamp: Math.floor(Date.now() / 1000),
            },
            (error) => (error ? reject(error) : resolve()),
          )
        }),
      close: () => channel.close(),
    }
  }

  /** Handles and acks `count` messages, at most `prefetch` at once; resolves with how to close. */
  async consume(
    queue: string,
    count: number,
    prefetch: number,
    handle: (body: unknown) => void,
  ): Promise<() => Promise<void>> {
    const channel = await this.#model.createChannel()
    await channel.prefetch(prefetch)
    let handled = 0
    await new Promise<void>((resolve) => {
      void channel.consume(queue, async (message) => {
        if (!message) return
        await handle(JSON.parse(message.content.toString()))
        channel.ack(message)
        if (++handled === count) resolve()
      })
    })
    return () => channel.close()
  }

  async close(): Promise<void> {
    const closed = once(this.#model, 'close')
    await this.#model.close()
    await closed
  }
}
