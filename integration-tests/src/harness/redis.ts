import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { redisStreams } from '@msgloop/adapter-redis-streams'
import type { Harness } from '@msgloop/conformance'
import { memoryInboxBed, spawnHolder } from '@msgloop/conformance'
import type { Driver } from '@msgloop/core/driver'
import type { Redis } from 'ioredis'
import { Cluster } from 'ioredis'
import type { RedisCluster, RedisServer } from '../redis-server.js'
import type { TcpProxy } from '../tcp-proxy.js'
import { tcpProxy } from '../tcp-proxy.js'

const HOLDER = fileURLToPath(new URL('../../dist/holder.js', import.meta.url))
/** Not `default`: a word that errors may name must not pass for a secret. */
const USER = { name: 'conformance', password: 's3cret-of-conformance' }

/** Key of the stream of a queue, as the README has it. */
export const streamOf = (queue: string): string => `msgloop:{${queue.replace(/(\.dlq)+$/, '')}}:${queue}`

/** What any client can do, whether or not it knows of a cluster. */
const foreign = (raw: Redis | Cluster): Pick<Harness, 'sendForeign' | 'declareDrifted'> => ({
  async sendForeign(queue, { body, contentType, headers, id, correlationId, replyTo, type }) {
    const fields: (string | Buffer)[] = ['body', Buffer.from(body)]
    if (contentType !== undefined) fields.push('content-type', contentType)
    if (id !== undefined) fields.push('id', id)
    if (correlationId !== undefined) fields.push('correlation-id', correlationId)
    if (replyTo !== undefined) fields.push('reply-to', replyTo)
    if (type !== undefined) fields.push('type', type)
    fields.push(...Object.entries(headers ?? {}).flat())
    await raw.xadd(streamOf(queue), '*', ...fields)
  },
  async declareDrifted(queue) {
    const settings = { role: 'work', deadLetter: `${queue}.dlq`, deliveryLimit: '7', dedupWindowMs: '0' }
    await raw.hset(`${streamOf(queue)}:settings`, settings)
    await raw.xgroup('CREATE', streamOf(queue), 'msgloop', '0', 'MKSTREAM')
  },
})

/** No proxies: its nodes tell clients where they really are. So nothing is cut here. */
export async function redisClusterHarness(cluster: RedisCluster): Promise<Harness> {
  const raw = new Cluster(cluster.nodes.map(({ host, port }) => ({ host, port })))
  const rules = ['on', `>${USER.password}`, '~*', '&*', '+@all']
  for (const { client } of cluster.nodes) await client.call('ACL', 'SETUSER', USER.name, ...rules)
  return {
    adapter: 'redis-streams',
    version: `${cluster.version} (cluster)`,
    secrets: [USER.password],
    openDriver: () => redisStreams({ url: cluster.url(`${USER.name}:${USER.password}@`) }),
    unique: (prefix) => `${prefix.slice(0, 20)}-${randomUUID()}`,
    ...foreign(raw),
    spawnConsumer: async (queue) => spawnHolder(HOLDER, [cluster.url(), queue]),
    async close() {
      raw.disconnect()
    },
  }
}

/** Each driver goes through a proxy of its own, so that its connections can be cut and no others. */
export async function redisHarness(server: RedisServer): Promise<Harness> {
  const raw = server.client()
  await raw.call('ACL', 'SETUSER', USER.name, 'on', `>${USER.password}`, '~*', '&*', '+@all')
  const proxies = new Map<Driver, TcpProxy>()
  const proxyOf = (driver: Driver): TcpProxy => {
    const proxy = proxies.get(driver)
    if (!proxy) throw new Error('this driver is not of this harness')
    return proxy
  }
  return {
    adapter: 'redis-streams',
    version: server.version,
    secrets: [USER.password],
    inbox: memoryInboxBed(),
    async openDriver() {
      const proxy = await tcpProxy(server)
      const driver = redisStreams({ url: server.url(proxy, `${USER.name}:${USER.password}@`) })
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
    ...foreign(raw),
    spawnConsumer: async (queue) => spawnHolder(HOLDER, [server.url(), queue]),
    async close() {
      for (const proxy of proxies.values()) await proxy.close()
      raw.disconnect()
    },
  }
}
