import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { nats } from '@msgloop/adapter-nats'
import type { Harness } from '@msgloop/conformance'
import { memoryInboxBed, spawnHolder } from '@msgloop/conformance'
import type { Driver } from '@msgloop/core/driver'
import { AckPolicy, jetstream, jetstreamManager } from '@nats-io/jetstream'
import { connect, headers } from '@nats-io/transport-node'
import type { NatsServer } from '../nats-server.js'
import type { TcpProxy } from '../tcp-proxy.js'
import { tcpProxy } from '../tcp-proxy.js'

const HOLDER = fileURLToPath(new URL('../../dist/holder.js', import.meta.url))
/** A word that errors may name must not pass for a secret. */
export const NATS_USER = { name: 'conformance', password: 's3cret-of-conformance' }

/** A queue's name as the token of a subject: as the wire table of the adapter's README has it. */
const token = (queue: string): string => queue.replaceAll('.', '=2E')

/** Each driver goes through a proxy of its own, so that its connection can be cut and no others. */
export async function natsHarness(server: NatsServer): Promise<Harness> {
  const raw = await connect({
    servers: `${server.host}:${server.port}`,
    user: NATS_USER.name,
    pass: NATS_USER.password,
  })
  const manager = await jetstreamManager(raw)
  const js = jetstream(raw)
  const proxies = new Map<Driver, TcpProxy>()
  const proxyOf = (driver: Driver): TcpProxy => {
    const proxy = proxies.get(driver)
    if (!proxy) throw new Error('this driver is not of this harness')
    return proxy
  }
  return {
    adapter: 'nats',
    version: server.version,
    secrets: [NATS_USER.password],
    inbox: memoryInboxBed(),
    async openDriver() {
      const proxy = await tcpProxy(server)
      const driver = nats({ url: server.url(proxy) })
      proxies.set(driver, proxy)
      return driver
    },
    unique: (prefix) => `${prefix.slice(0, 20)}-${randomUUID()}`,
    async disconnect(driver) {
      proxyOf(driver).cut()
    },
    async outage(driver) {
      const proxy = proxyOf(driver)
      proxy.down()
      return async () => proxy.up()
    },
    async sendForeign(queue, { body, contentType, headers: given, id, correlationId, replyTo, type }) {
      const lines = headers()
      for (const [name, value] of Object.entries(given ?? {})) lines.append(name, value)
      if (contentType !== undefined) lines.append('Content-Type', contentType)
      if (correlationId !== undefined) lines.append('Correlation-Id', correlationId)
      if (type !== undefined) lines.append('Type', type)
      if (replyTo !== undefined) lines.append('msgloop-reply-to', replyTo)
      await js.publish(`msgloop.${token(queue)}`, body, {
        headers: lines,
        ...(id !== undefined && { msgID: id }),
      })
    },
    async declareDrifted(queue) {
      const stream = `msgloop-${token(queue)}`
      await manager.streams.add({ name: stream, subjects: [`msgloop.${token(queue)}`], max_msgs: 1_000 })
      await manager.consumers.add(stream, {
        durable_name: 'msgloop',
        ack_policy: AckPolicy.Explicit,
        max_deliver: 7,
      })
    },
    spawnConsumer: async (queue) => spawnHolder(HOLDER, [server.url(), queue]),
    async close() {
      for (const proxy of proxies.values()) await proxy.close()
      await raw.close()
    },
  }
}
