import { briefly, systemClock, untilAborted } from '@msgloop/core/driver'
import type { Channel } from 'amqplib'
import type { Session } from './connection.js'
import { assertQueue } from './objects.js'

/** How long the queue outlives the last worker. */
const EXPIRES_MS = 60_000
/** A count is good for so long. */
const FRESH_MS = 1_000

export const workersName = (queue: string): string => `msgloop.v1.workers-${queue}`

/** 0 where there are none, and none were a minute ago. */
export const countWorkers = (session: Session, queue: string): Promise<number> =>
  session
    .look((channel) => channel.checkQueue(workersName(queue)))
    .then(
      ({ consumerCount }) => consumerCount,
      () => 0,
    )

/**
 * How many receivers a queue with order by key has. Of a queue with a single active consumer the broker counts
 * only that one (measured on 3.10.8, 4.0.5 and 4.3.6), so each receiver consumes a queue that nobody sends to as well.
 */
export class Workers {
  readonly #session: Session
  readonly #channel: Channel
  readonly #name: string
  #count = 1
  #countedAt = Number.NEGATIVE_INFINITY
  #counting = false

  static async join(session: Session, name: string, signal: AbortSignal): Promise<Workers> {
    const channel = await session.channel(signal)
    const queue = workersName(name)
    const join = async (): Promise<void> => {
      await assertQueue(channel, queue, { durable: true, 'x-queue-type': 'classic', 'x-expires': EXPIRES_MS })
      await channel.consume(queue, () => {}, { noAck: true })
    }
    try {
      await untilAborted(join(), signal)
      return new Workers(session, channel, name)
    } catch (error) {
      channel.close().catch(() => {})
      throw error
    }
  }

  private constructor(session: Session, channel: Channel, name: string) {
    this.#session = session
    this.#channel = channel
    this.#name = name
  }

  /** As last counted, this one included. */
  get count(): number {
    return this.#count
  }

  /** Counts again, unless that was done a moment ago or is being done. Never rejects. */
  refresh(): Promise<void> | undefined {
    if (this.#counting || systemClock.elapsed() - this.#countedAt < FRESH_MS) return undefined
    this.#counting = true
    return countWorkers(this.#session, this.#name).then((count) => {
      this.#count = Math.max(1, count)
      this.#countedAt = systemClock.elapsed()
      this.#counting = false
    })
  }

  async leave(): Promise<void> {
    await briefly(this.#channel.close())
  }
}
