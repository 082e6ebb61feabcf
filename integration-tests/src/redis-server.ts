import { Redis } from 'ioredis'
import type { BrokerContainer } from './broker-container.js'
import { startContainer } from './broker-container.js'
import type { Endpoint } from './tcp-proxy.js'

/** The versions conformance is run on: the newest and the oldest there are images for, and Valkey. */
export const REDIS_IMAGES = ['redis:8', 'redis:7.0', 'valkey/valkey:8'] as const
export type RedisImage = (typeof REDIS_IMAGES)[number]

export interface RedisServer extends BrokerContainer {
  /** As the server itself says. */
  readonly version: string
  /** The host of the server is not always the one a proxy listens on, so a proxy is given whole. */
  url(through?: Endpoint, user?: string): string
  /** A client of its own, that knows nothing of msgloop. */
  client(): Redis
  /** Output of `redis-cli`, or of its namesake. */
  cli(...args: string[]): Promise<string>
}

/** With an append-only file that is synced before each reply: what is confirmed survives a SIGKILL. */
export async function startRedis(image: RedisImage, extraArgs: readonly string[] = []): Promise<RedisServer> {
  const program = image.startsWith('valkey') ? 'valkey' : 'redis'
  let version = ''
  const container = await startContainer({
    image,
    port: 6379,
    ready: /Ready to accept connections/,
    command: [`${program}-server`, '--appendonly', 'yes', '--appendfsync', 'always', ...extraArgs],
    async probe({ host, port }) {
      const client = new Redis({ host, port, lazyConnect: true, retryStrategy: null })
      client.on('error', () => {})
      try {
        await client.connect()
        const info = await client.info('server')
        version = /^(?:valkey|redis)_version:(\S+)/m.exec(reversed(info))?.[1] ?? ''
      } finally {
        client.disconnect()
      }
    },
  })
  return {
    ...container,
    version,
    url: ({ host, port } = container, user = '') => `redis://${user}${host}:${port}`,
    client() {
      const client = new Redis({ host: container.host, port: container.port })
      // It comes back by itself after each kill.
      client.on('error', () => {})
      return client
    },
    cli: (...args) => container.exec(`${program}-cli`, ...args),
  }
}

export interface RedisCluster {
  readonly version: string
  /** Three masters, each with a third of the slots. */
  readonly nodes: readonly ClusterNode[]
  /** All nodes, by the addresses they tell clients of. */
  url(user?: string): string
  /** Index of the node that has a key. */
  nodeOf(key: string): Promise<number>
  /** Moves the slot of a key, with all that is in it, while it is in use. */
  moveSlotOf(key: string, to: number): Promise<void>
  stop(): Promise<void>
}

export interface ClusterNode extends Endpoint {
  readonly id: string
  readonly server: RedisServer
  readonly client: Redis
}

const COUNT = 3

/** Its nodes are reached by the addresses of their containers, as they tell no others to clients. */
export async function startRedisCluster(image: RedisImage): Promise<RedisCluster> {
  const args = ['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000']
  const servers = await Promise.all(Array.from({ length: COUNT }, () => startRedis(image, args)))
  const nodes = await Promise.all(
    servers.map(async (server): Promise<ClusterNode> => {
      const client = server.client()
      const host = (await server.exec('hostname', '-i')).trim()
      return { host, port: 6379, id: String(await client.cluster('MYID')), server, client }
    }),
  )
  const [first] = nodes
  if (!first) throw new Error('a cluster has nodes')
  const addresses = nodes.map(({ host, port }) => `${host}:${port}`)
  await first.server.cli('--cluster', 'create', ...addresses, '--cluster-yes')
  const healthy = async ({ client }: ClusterNode): Promise<boolean> =>
    String(await client.cluster('INFO')).includes('cluster_state:ok')
  while (!(await Promise.all(nodes.map(healthy))).every(Boolean))
    await new Promise((resolve) => setTimeout(resolve, 50))
  const nodeOf = async (key: string): Promise<number> => {
    const slot = Number(await first.client.cluster('KEYSLOT', key))
    const ranges = await first.client.cluster('SLOTS')
    const owner = ranges.find(([from, to]) => from <= slot && slot <= to)?.[2]
    return nodes.findIndex(({ host }) => host === owner?.[0])
  }
  return {
    version: first.server.version,
    nodes,
    url: (user = '') => `redis+cluster://${user}${addresses.join(',')}`,
    nodeOf,
    async moveSlotOf(key, to) {
      const [source, target] = [nodes[await nodeOf(key)], nodes[to]]
      if (!source || !target || source === target) throw new Error('there is nothing to move')
      const slot = Number(await first.client.cluster('KEYSLOT', key))
      await target.client.cluster('SETSLOT', slot, 'IMPORTING', source.id)
      await source.client.cluster('SETSLOT', slot, 'MIGRATING', target.id)
      for (;;) {
        const keys = await source.client.cluster('GETKEYSINSLOT', slot, 10)
        if (keys.length === 0) break
        await source.client.migrate(target.host, target.port, '', 0, 5_000, 'KEYS', ...keys)
      }
      for (const { client } of [target, source, ...nodes])
        await client.cluster('SETSLOT', slot, 'NODE', target.id)
    },
    async stop() {
      for (const { client } of nodes) client.disconnect()
      await Promise.all(servers.map((server) => server.stop()))
    },
  }
}

/** Valkey says which Redis it can stand in for, too, and says so first. */
const reversed = (info: string): string => info.split('\n').reverse().join('\n')
