import { briefly, type Failure, type Outgoing, type Sender } from '@msgloop/core/driver'
import type { Session } from './connection.js'
import { Publisher } from './publisher.js'
import { bufferOf } from './sender.js'
import { encode } from './wire.js'

/** Publishes to a topic exchange, by the subject. */
export class RabbitmqTopicSender implements Sender {
  readonly #publisher: Publisher
  readonly #topic: string

  static async open(session: Session, topic: string, signal: AbortSignal): Promise<RabbitmqTopicSender> {
    return new RabbitmqTopicSender(await Publisher.open(session, signal), topic)
  }

  private constructor(publisher: Publisher, topic: string) {
    this.#publisher = publisher
    this.#topic = topic
  }

  send(batch: readonly Outgoing[], signal: AbortSignal): Promise<readonly Failure[]> {
    const topic = this.#topic
    const now = Date.now()
    const at = (index: number): Outgoing => batch[index] as Outgoing
    return this.#publisher.publish(
      {
        size: batch.length,
        id: (index) => at(index).message.id,
        bodyBytes: (index) => at(index).message.body.byteLength,
        write(channel, index, confirmed) {
          const { message } = at(index)
          const properties = encode(message, 'topic', now)
          return channel.publish(topic, message.subject ?? '', bufferOf(message.body), properties, confirmed)
        },
      },
      signal,
    )
  }

  async close(): Promise<void> {
    await briefly(this.#publisher.close())
  }
}
