import { randomUUID } from 'node:crypto'
import {
  briefly,
  DriverError,
  type Failure,
  lostError,
  type Replies,
  type Reply,
  type ReplyChannel,
  type ReplyOptions,
  untilAborted,
} from '@msgloop/core/driver'
import type { Connection } from './connection.js'
import type { Copies } from './copies.js'
import { OWN_PREFIX } from './delay.js'
import { assertQueue } from './objects.js'
import { bufferOf } from './sender.js'
import { decode, encode } from './wire.js'

/** How long a queue of answers outlives its last consumer: the gap of a reconnect, and no litter after a crash. */
const EXPIRES_MS = 60_000
/** Answers pushed ahead of their acks. */
const PREFETCH = 1_000

/**
 * One queue of answers per driver, with the same name for life, so that what is answered while the connection is
 * cut is there when it is back. Direct reply-to would lose it, and ties each request to the channel of its answer.
 */
export class RabbitmqReplies implements Replies {
  readonly #address = `${OWN_PREFIX}replies-${randomUUID()}`
  readonly #receiving: Connection
  readonly #publisher: Copies

  constructor(receiving: Connection, publisher: Copies) {
    this.#receiving = receiving
    this.#publisher = publisher
  }

  async open(options: ReplyOptions, signal: AbortSignal): Promise<ReplyChannel> {
    const session = await this.#receiving.open(signal)
    const channel = await session.channel(signal)
    const address = this.#address
    let reporting = false
    let cause: unknown
    const lost = (why: unknown): void => {
      if (!reporting) return
      reporting = false
      options.onLost(session.lost ?? lostError('rabbitmq: the channel of answers', why))
    }
    channel.on('error', (error) => {
      cause = error
    })
    channel.on('close', () => lost(cause))
    const consume = async (): Promise<void> => {
      await assertQueue(channel, address, {
        durable: true,
        'x-queue-type': 'classic',
        'x-expires': EXPIRES_MS,
      })
      await channel.prefetch(PREFETCH, false)
      await channel.consume(address, (message) => {
        if (message) {
          channel.ack(message)
          options.onReply(decode(message).message)
        } else {
          lost(new DriverError('NOT_FOUND', `rabbitmq: the queue of answers "${address}" was deleted`))
          channel.close().catch(() => {})
        }
      })
    }
    try {
      await untilAborted(consume(), signal)
      if (session.lost) throw session.lost
      reporting = true
    } catch (error) {
      channel.close().catch(() => {})
      throw error
    }
    return {
      address,
      async close() {
        reporting = false
        await briefly(channel.deleteQueue(address).then(() => channel.close()))
      },
    }
  }

  async send(batch: readonly Reply[], signal: AbortSignal): Promise<readonly Failure[]> {
    const publisher = await untilAborted(this.#publisher(), signal)
    const now = Date.now()
    const at = (index: number): Reply => batch[index] as Reply
    return publisher.publish(
      {
        size: batch.length,
        id: (index) => at(index).message.id,
        bodyBytes: (index) => at(index).message.body.byteLength,
        write(channel, index, confirmed) {
          const { address, message } = at(index)
          const properties = encode(message, 'reply', now)
          return channel.publish('', address, bufferOf(message.body), properties, confirmed)
        },
      },
      signal,
    )
  }
}
