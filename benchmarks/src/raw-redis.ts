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

/** Stores a wave: ids and bodies by turns, with the fields that msgloop stores. */
const SEND = `
for i = 1, #ARGV, 2 do
  redis.call('XADD', KEYS[1], '*', 'id', ARGV[i], 'body', ARGV[i + 1], 'content-type', 'application/json')
end
return 1
`
/** Takes new entries, each with a lease that nobody else can end. ARGV: consumer, count, end of the lease, nonce. */
const TAKE = `
local found = redis.call('XREADGROUP', 'GROUP', '${GROUP}', ARGV[1], 'COUNT', ARGV[2], 'STREAMS', KEYS[1], '>')
local entries = found and found[1][2] or {}
local leases = {}
for i, entry in ipairs(entries) do
  leases[2 * i - 1] = ARGV[3]
  leases[2 * i] = entry[1] .. '/' .. ARGV[4]
end
if #entries > 0 then redis.call('ZADD', KEYS[2], unpack(leases)) end
return entries
`
/** Acks what is still leased. ARGV: nonce, ids. */
const ACK = `
local mine, ids = {}, {}
for i = 2, #ARGV do
  local lease = ARGV[i] .. '/' .. ARGV[1]
  if redis.call('ZSCORE', KEYS[2], lease) then
    mine[#mine + 1] = lease
    ids[#ids + 1] = ARGV[i]
  end
end
if #ids == 0 then return 0 end
redis.call('ZREM', KEYS[2], unpack(mine))
redis.call('XACK', KEYS[1], '${GROUP}', unpack(ids))
return redis.call('XDEL', KEYS[1], unpack(ids))
`

/**
 * The best we can write by hand that keeps what msgloop keeps: ids, a lease for each message, and acks that touch
 * nobody else's. One script call for each wave, each batch taken, and each batch acked.
 */
export async function tunedRedis(url: string): Promise<Rival> {
  const queue = await RawQueue.open(url)
  const load = async (script: string): Promise<string> => String(await queue.redis.script('LOAD', script))
  const [send, take, ack] = [await load(SEND), await load(TAKE), await load(ACK)]
  const keys = [queue.key, `${queue.key}:leases`]
  const acked = async (nonce: number, ids: readonly string[]): Promise<void> => {
    await queue.redis.evalsha(ack, 2, ...keys, nonce, ...ids)
  }
  return {
    ...queue.rival('ioredis tuned by hand', async () => {}),
    async send(count, window, body) {
      for (let sent = 0; sent < count; sent += window) {
        const items = Array.from({ length: Math.min(window, count - sent) }, () => [
          randomUUID(),
          JSON.stringify(body),
        ])
        const half = items.length >> 1
        await Promise.all(
          [items.slice(0, half), items.slice(half)].map((part) =>
            queue.redis.evalsha(send, 1, queue.key, ...part.flat()),
          ),
        )
      }
    },
    async consume(count, prefetch, handle) {
      // One half is acked while the other is read: no more than `prefetch` are held.
      const half = Math.max(1, prefetch >> 1)
      let acking = Promise.resolve()
      for (let handled = 0, nonce = 0; handled < count; nonce++) {
        const lease = Date.now() + 30_000
        const entries = (await queue.redis.evalsha(take, 2, ...keys, 'me', half, lease, nonce)) as Entries
        for (const [, [, , , body]] of entries) handle(JSON.parse(body ?? ''))
        handled += entries.length
        await acking
        if (entries.length > 0) {
          const ids = entries.map(([id]) => id)
          acking = acked(nonce, ids)
        }
      }
      await acking
      return async () => {}
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
        // One half is acked while the other is read: no more than `prefetch` are held.
        const half = Math.max(1, prefetch >> 1)
        let handled = 0
        let acking = Promise.resolve()
        while (handled < count) {
          const read = (await reading.xreadgroup(
            'GROUP',
            GROUP,
            'me',
            'COUNT',
            half,
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
