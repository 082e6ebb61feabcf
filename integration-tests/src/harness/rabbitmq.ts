import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { rabbitmq } from '@msgloop/adapter-rabbitmq'
import type { Harness } from '@msgloop/conformance'
import { memoryInboxBed, spawnHolder } from '@msgloop/conformance'
import type { Driver } from '@msgloop/core/driver'
import { connect } from 'amqplib'
import type { RabbitmqServer } from '../rabbitmq-server.js'
import type { Endpoint, TcpProxy } from '../tcp-proxy.js'
import { tcpProxy } from '../tcp-proxy.js'

const HOLDER = fileURLToPath(new URL('../../dist/holder.js', import.meta.url))
/** Not `guest`: a word that errors may name must not pass for a secret. */
const USER = { name: 'conformance', password: 's3cret-of-conformance' }

/** Each driver goes through a proxy of its own, so that its connections can be cut and no others. */
export async function rabbitmqHarness(server: RabbitmqServer): Promise<Harness> {
  await server.rabbitmqctl('add_user', USER.name, USER.password)
  await server.rabbitmqctl('set_permissions', USER.name, '.*', '.*', '.*')
  const url = (through: Endpoint): string =>
    server.url(through).replace('guest:guest', `${USER.name}:${USER.password}`)
  const raw = await connect(server.url())
  const proxies = new Map<Driver, TcpProxy>()
  const proxyOf = (driver: Driver): TcpProxy => {
    const proxy = proxies.get(driver)
    if (!proxy) throw new Error('this driver is not of this harness')
    return proxy
  }
  return {
    adapter: 'rabbitmq',
    version: server.version,
    secrets: [USER.password],
    inbox: memoryInboxBed(),
    async openDriver() {
      const proxy = await tcpProxy(server)
      const driver = rabbitmq({ url: url(proxy) })
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
    async sendForeign(queue, { body, contentType, headers, id, correlationId, replyTo, type }) {
      const channel = await raw.createConfirmChannel()
      channel.sendToQueue(queue, Buffer.from(body), {
        ...(contentType !== undefined && { contentType }),
        ...(headers && { headers }),
        ...(id !== undefined && { messageId: id }),
        ...(correlationId !== undefined && { correlationId }),
        ...(replyTo !== undefined && { replyTo }),
        ...(type !== undefined && { type }),
      })
      await channel.waitForConfirms()
      await channel.close()
    },
    async declareDrifted(queue) {
      const channel = await raw.createChannel()
      await channel.assertQueue(queue, { durable: true, arguments: { 'x-queue-type': 'classic' } })
      await channel.close()
    },
    spawnConsumer: async (queue) => spawnHolder(HOLDER, [server.url(), queue]),
    async close() {
      for (const proxy of proxies.values()) await proxy.close()
      await raw.close()
    },
  }
}
