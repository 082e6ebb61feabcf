import {
  briefly,
  type Failure,
  type Outgoing,
  type QueueSpec,
  type Sender,
  type WireMessage,
} from '@msgloop/core/driver'
import type { ConfirmChannel, Options } from 'amqplib'
import type { Session } from './connection.js'
import { delayKey, entryLevel, levelName, stepsOf } from './delay.js'
import { unsent } from './errors.js'
import { queueFor, queuesOf } from './partitions.js'
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

/** What the longest of some delays to some queues needs declared first; `undefined` when nothing. */
export function prepare(
  session: Session,
  queues: readonly string[],
  delayMs: number,
): Promise<void> | undefined {
  return delayMs > 0 ? session.prepareDelay(queues, entryLevel(stepsOf(delayMs))) : undefined
}

export class RabbitmqSender implements Sender {
  readonly #publisher: Publisher
  readonly #queues: readonly string[]
  readonly #queueOf: (message: WireMessage) => string

  static async open(session: Session, spec: QueueSpec, signal: AbortSignal): Promise<RabbitmqSender> {
    return new RabbitmqSender(await Publisher.open(session, signal), spec)
  }

  private constructor(publisher: Publisher, spec: QueueSpec) {
    this.#publisher = publisher
    const { name, order } = spec
    this.#queues = queuesOf(spec)
    this.#queueOf = order === 'none' ? () => name : (message) => queueFor(name, message)
  }

  async send(batch: readonly Outgoing[], signal: AbortSignal): Promise<readonly Failure[]> {
    const queueOf = this.#queueOf
    const now = Date.now()
    let longest = 0
    for (const { delayMs } of batch) if (delayMs > longest) longest = delayMs
    let unprepared: unknown
    const preparation = prepare(this.#publisher.session, this.#queues, longest)?.catch((error: unknown) => {
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
          if (delayMs > 0 && unprepared !== undefined) throw unsent(unprepared)
          const properties = encode(message, delayMs > 0 ? 'delay' : 'queue', now)
          return publishTo(channel, queueOf(message), delayMs, message.body, properties, confirmed)
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
