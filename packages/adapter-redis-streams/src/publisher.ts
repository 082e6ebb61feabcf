import { DriverError, type Failure, type Outgoing, type Sender, untilAborted } from '@msgloop/core/driver'
import { noTopic } from './errors.js'
import { routesKeyOf } from './keys.js'
import { type Packable, pack } from './msgpack.js'
import type { Nodes } from './nodes.js'
import { readTexts } from './replies.js'
import { Routes } from './routes.js'
import { ENTRY_BYTES, tooLarge } from './sender.js'
import type { Session } from './session.js'
import { PUBLISH } from './topic-scripts.js'
import { encode } from './wire.js'

/**
 * Publishes to a topic, on one connection, which it ends with. A batch is routed here and stored there, in one
 * step for all subscriptions. When the routes have changed meanwhile nothing is stored, and it is `BUSY`: sent
 * again it goes by the new ones.
 */
export class RedisPublisher implements Sender {
  readonly #nodes: Nodes
  readonly #session: Session
  readonly #prefix: string
  readonly #topic: string
  #routes: Routes
  #closed = false

  static async open(
    nodes: Nodes,
    prefix: string,
    topic: string,
    signal: AbortSignal,
  ): Promise<RedisPublisher> {
    const session = await nodes.open(topic, signal)
    const reply = await untilAborted(session.call('HGETALL', routesKeyOf(prefix, topic)), signal)
    const fields = readTexts(reply)
    if (fields.length === 0) throw noTopic(topic)
    return new RedisPublisher(nodes, session, prefix, topic, new Routes(prefix, topic, fields))
  }

  private constructor(nodes: Nodes, session: Session, prefix: string, topic: string, routes: Routes) {
    this.#nodes = nodes
    this.#session = session
    this.#prefix = prefix
    this.#topic = topic
    this.#routes = routes
  }

  async send(batch: readonly Outgoing[], signal: AbortSignal): Promise<readonly Failure[]> {
    if (this.#closed)
      throw new DriverError('CLOSED', 'redis-streams: the publisher was closed', { outcome: 'rejected' })
    const failures: Failure[] = []
    const names = [routesKeyOf(this.#prefix, this.#topic)]
    const numbers = new Map<string, number>()
    const items: Packable[] = []
    let bytes = 0
    for (const [index, { message }] of batch.entries()) {
      const error = tooLarge(message)
      if (error) {
        failures.push({ index, error })
        continue
      }
      const to = this.#routes.of(message.subject ?? '').map(({ stream, settings, ids }) => {
        const known = numbers.get(stream)
        if (known !== undefined) return known
        numbers.set(stream, numbers.size + 1)
        names.push(stream, settings, ids)
        return numbers.size
      })
      if (to.length > 0) items.push([message.id, encode(message), to])
      bytes += message.body.byteLength + ENTRY_BYTES
    }
    if (failures.length === batch.length) return failures
    const work = this.#session.run(PUBLISH, names, [this.#routes.revision, pack(items, bytes)])
    try {
      this.#judge(await untilAborted(work, signal))
    } catch (error) {
      this.#nodes.moved(this.#topic, this.#session, error)
      throw error
    }
    return failures
  }

  async close(): Promise<void> {
    this.#closed = true
  }

  #judge(reply: unknown): void {
    if (reply === 1) return
    if (reply === 0) throw noTopic(this.#topic)
    this.#routes = new Routes(this.#prefix, this.#topic, readTexts(reply))
    throw new DriverError('BUSY', `redis-streams: the subscriptions of topic "${this.#topic}" just changed`, {
      retryable: true,
      outcome: 'rejected',
    })
  }
}
