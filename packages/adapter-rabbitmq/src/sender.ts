import type { Failure, Outgoing, Sender } from '@msgloop/core/driver'
import type { ConfirmChannel, Options } from 'amqplib'
import { briefly, type Session } from './connection.js'
import { delayKey, entryLevel, levelName, stepsOf } from './delay.js'
import { Publisher } from './publisher.js'
import { encode } from './wire.js'

/** Publishes to a queue, at once or by way of the delay queues. */
export function publishTo(
  channel: ConfirmChannel,
  queue: string,
  delayMs: number,
  body: Uint8Array,
  properties: Options.Publish,
  confirmed: (error: unknown) => void,
): boolean {
  const content = bufferOf(body)
  if (delayMs <= 0) return channel.publish('', queue, content, properties, confirmed)
  const steps = stepsOf(delayMs)
  return channel.publish(levelName(entryLevel(steps)), delayKey(steps, queue), content, properties, confirmed)
}

/** The same bytes. */
export const bufferOf = (body: Uint8Array): Buffer =>
  Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength)

/** What the longest of some delays to `queue` needs declared first; `undefined` when nothing. */
export function prepare(session: Session, queue: string, delayMs: number): Promise<void> | undefined {
  return delayMs > 0 ? session.prepareDelay(queue, entryLevel(stepsOf(delayMs))) : undefined
}

export class RabbitmqSender implements Sender {
  readonly #publisher: Publisher
  readonly #queue: string

  static async open(session: Session, queue: string, signal: AbortSignal): Promise<RabbitmqSender> {
    return new RabbitmqSender(await Publisher.open(session, signal), queue)
  }

  private constructor(publisher: Publisher, queue: string) {
    this.#publisher = publisher
    this.#queue = queue
  }

  async send(batch: readonly Outgoing[], signal: AbortSignal): Promise<readonly Failure[]> {
    const queue = this.#queue
    const now = Date.now()
    let longest = 0
    for (const { delayMs } of batch) if (delayMs > longest) longest = delayMs
    let unprepared: unknown
    const preparation = prepare(this.#publisher.session, queue, longest)?.catch((error: unknown) => {
      unprepared = error
    })
    const at = (index: number): Outgoing => batch[index] as Outgoing
    return this.#publisher.publish(
      {
        size: batch.length,
        id: (index) => at(index).message.id,
        bodyBytes: (index) => at(index).message.body.byteLength,
        write(channel, index, confirmed) {
          const { message, delayMs } = at(index)
          if (delayMs > 0 && unprepared !== undefined) throw unprepared
          const properties = encode(message, delayMs > 0 ? 'delay' : 'queue', now)
          return publishTo(channel, queue, delayMs, message.body, properties, confirmed)
        },
      },
      signal,
      preparation,
    )
  }

  async close(): Promise<void> {
    await briefly(this.#publisher.close())
  }
}
