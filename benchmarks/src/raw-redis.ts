import { randomUUID } from 'node:crypto'
import { Redis } from 'ioredis'
import type { Rival } from './rival.js'
import { inWaves } from './rival.js'

const GROUP = 'workers'
const BLOCK_MS = 1_000

type Entries = [id: string, fields: string[]][]

/** The idiomatic program: XADD per message, pipelined; XREADGROUP, then XACK and XDEL per message. */
export async function rawRedis(url: string): Promise<Rival> {
  const queue = await RawQueue.open(url)
  return {
    ...queue.rival('ioredis as documented', async (ids) => {
      await Promise.all(
        ids.flatMap((id) => [queue.redis.xack(queue.key, GROUP, id), queue.redis.xdel(queue.key, id)]),
      )
    }),
    async send(count, window, body) {
      await inWaves(count, window, () => queue.redis.xadd(queue.key, '*', 'body', JSON.stringify(body)))
    },
  }
}

/** The best we can write by hand: one script call stores a whole wave; one XACK and one XDEL per batch. */
export async function tunedRedis(url: string): Promise<Rival> {
  const queue = await RawQueue.open(url)
  const script = `for i = 1, #ARGV do redis.call('XADD', KEYS[1], '*', 'body', ARGV[i]) end return #ARGV`
  const sha = String(await queue.redis.script('LOAD', script))
  return {
    ...queue.rival('ioredis tuned by hand', async (ids) => {
      await Promise.all([queue.redis.xack(queue.key, GROUP, ...ids), queue.redis.xdel(queue.key, ...ids)])
    }),
    async send(count, window, body) {
      for (let sent = 0; sent < count; sent += window) {
        const bodies = Array.from({ length: Math.min(window, count - sent) }, () => JSON.stringify(body))
        const half = bodies.length >> 1
        await Promise.all(
          [bodies.slice(0, half), bodies.slice(half)].map((part) =>
            queue.redis.evalsha(sha, 1, queue.key, ...part),
          ),
        )
      }
    },
  }
}

class RawQueue {
  readonly redis: Redis
  readonly key = `raw-${randomUUID()}`
  readonly #url: string

  private constructor(url: string) {
    this.#url = url
    this.redis = new Redis(url)
  }

  static async open(url: string): Promise<RawQueue> {
    const queue = new RawQueue(url)
    await queue.#makeGroup()
    return queue
  }

  async #makeGroup(): Promise<void> {
    await this.redis.xgroup('CREATE', this.key, GROUP, '0', 'MKSTREAM')
  }

  rival(name: string, ack: (ids: string[]) => Promise<void>): Omit<Rival, 'send'> {
    return {
      name,
      consume: async (count, prefetch, handle) => {
        // A blocking read needs a connection of its own.
        const reading = new Redis(this.#url)
        let handled = 0
        let acking = Promise.resolve()
        while (handled < count) {
          const read = (await reading.xreadgroup(
            'GROUP',
            GROUP,
            'me',
            'COUNT',
            prefetch,
            'BLOCK',
            BLOCK_MS,
            'STREAMS',
            this.key,
            '>',
          )) as [key: string, entries: Entries][] | null
          const entries = read?.[0]?.[1] ?? []
          for (const [, [, body]] of entries) handle(JSON.parse(body ?? ''))
          handled += entries.length
          const ids = entries.map(([id]) => id)
          // One batch is acked while the next is read.
          await acking
          if (ids.length > 0) acking = ack(ids)
        }
        await acking
        return async () => reading.disconnect()
      },
      purge: async () => {
        await this.redis.del(this.key)
        await this.#makeGroup()
      },
      close: async () => {
        await this.redis.del(this.key)
        this.redis.disconnect()
      },
    }
  }
}
