import { randomUUID } from 'node:crypto'
import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream'
import { jetstream, jetstreamManager } from '@nats-io/jetstream'
import type { NatsConnection } from '@nats-io/transport-node'
import { connect, createInbox, headers } from '@nats-io/transport-node'
import type { Rival } from './rival.js'
import { inWaves } from './rival.js'

const DURABLE = 'worker'

/** The idiomatic program: `js.publish` per message, pipelined; `consume()` and `ack()`. */
export async function rawNats(server: string): Promise<Rival> {
  const stream = await RawStream.open(server)
  return {
    ...stream.rival('nats.js as documented'),
    async send(count, window, body) {
      await inWaves(count, window, () => stream.js.publish(stream.subject, JSON.stringify(body)))
    },
  }
}

/**
 * The best we can write by hand: publishes with a reply subject of our own, and one subscription for every PubAck.
 * Each message has an id, as without one no consumer can tell a second copy.
 */
export async function tunedNats(server: string): Promise<Rival> {
  const stream = await RawStream.open(server)
  const inbox = createInbox()
  let next = 0
  const waiting = new Map<string, () => void>()
  stream.nc.subscribe(`${inbox}.*`, {
    callback(error, message) {
      if (error) throw error
      const resolve = waiting.get(message.subject)
      if (!resolve) return
      waiting.delete(message.subject)
      if (message.json<{ error?: unknown }>().error) throw new Error(message.string())
      resolve()
    },
  })
  return {
    ...stream.rival('nats.js tuned by hand'),
    async send(count, window, body) {
      await inWaves(
        count,
        window,
        () =>
          new Promise<void>((resolve) => {
            const reply = `${inbox}.${next++}`
            const identity = headers()
            identity.set('id', randomUUID())
            waiting.set(reply, resolve)
            stream.nc.publish(stream.subject, JSON.stringify(body), { reply, headers: identity })
          }),
      )
    },
  }
}

/** A work queue with the same settings as ours. */
class RawStream {
  readonly nc: NatsConnection
  readonly js: JetStreamClient
  readonly name = `raw-${randomUUID()}`
  readonly subject = `raw.${this.name}`
  readonly #manager: JetStreamManager

  private constructor(nc: NatsConnection, manager: JetStreamManager) {
    this.nc = nc
    this.js = jetstream(nc)
    this.#manager = manager
  }

  static async open(server: string): Promise<RawStream> {
    const nc = await connect({ servers: server })
    const manager = await jetstreamManager(nc)
    const stream = new RawStream(nc, manager)
    await manager.streams.add({
      name: stream.name,
      subjects: [stream.subject],
      retention: 'workqueue',
      storage: 'file',
    })
    await manager.consumers.add(stream.name, {
      durable_name: DURABLE,
      ack_policy: 'explicit',
      max_ack_pending: -1,
    })
    return stream
  }

  rival(name: string): Omit<Rival, 'send'> {
    return {
      name,
      consume: async (count, prefetch, handle) => {
        const consumer = await this.js.consumers.get(this.name, DURABLE)
        const messages = await consumer.consume({ max_messages: prefetch })
        let handled = 0
        for await (const message of messages) {
          handle(message.json())
          message.ack()
          if (++handled === count) break
        }
        await this.nc.flush()
        return async () => {
          await messages.close()
        }
      },
      purge: async () => {
        await this.#manager.streams.purge(this.name)
      },
      close: async () => {
        await this.#manager.streams.delete(this.name)
        await this.nc.close()
      },
    }
  }
}
