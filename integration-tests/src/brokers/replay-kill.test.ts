import { randomUUID } from 'node:crypto'
import type { Broker, Queue } from '@msgloop/core'
import { Reject } from '@msgloop/core'
import { connect } from 'msgloop'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { AnyServer } from '../all-brokers.js'
import { faultQueue } from '../fault-queue.js'
import { startRabbitmq } from '../rabbitmq-server.js'
import { startRedis } from '../redis-server.js'
import { startReplayer } from '../replayer-process.js'

const COUNT = 300
const ROUNDS = 8
/** Slow enough that no round comes to its end. */
const RATE = 100
const CANARY = 5
const IDS: readonly string[] = Array.from({ length: COUNT }, (_, n) => `m-${n}`)
const SOON = { timeout: 60_000 }

interface Bed {
  readonly image: string
  readonly start: () => Promise<AnyServer>
  /** Storing an entry and taking it off the other queue is one step, so that no kill can leave it in both. */
  readonly atomic: boolean
}

const BEDS: readonly Bed[] = [
  ...(['rabbitmq:4-management', 'rabbitmq:3.10-management'] as const).map((image) => ({
    image,
    start: () => startRabbitmq(image),
    atomic: false,
  })),
  { image: 'redis:8', start: () => startRedis('redis:8'), atomic: true },
]

describe.each(BEDS)('a replay that is SIGKILLed on $image', ({ image, start, atomic }) => {
  let server: AnyServer
  let broker: Broker
  let queue: Queue<{ n: number }>

  beforeAll(async () => {
    server = await start()
  })
  afterAll(async () => {
    await server?.stop()
  })
  beforeEach(async () => {
    broker = await connect(server.url())
    queue = broker.queue(faultQueue(`replay-${randomUUID()}`))
  })
  afterEach(async () => {
    await broker.close()
  })

  const counts = async (): Promise<{ readonly source: number; readonly dead: number }> => {
    const { ready = 0, dead = 0 } = await queue.stats()
    return { source: ready, dead }
  }

  const deadLetterAll = async (): Promise<void> => {
    const consumer = queue.consume(() => {
      throw new Reject('for the sake of the test')
    })
    const results = await queue.sendBatch(IDS.map((id, n) => ({ id, body: { n }, headers: { of: id } })))
    expect(results.filter(({ ok }) => !ok)).toEqual([])
    await expect.poll(counts, SOON).toEqual({ source: 0, dead: COUNT })
    await consumer.close()
  }

  /** Everything that is in the source, as what a handler sees of it. */
  const drain = async (): Promise<Map<string, string[]>> => {
    const seen = new Map<string, string[]>()
    const consumer = queue.consume(({ n }, { id, attempt, replays, headers }) => {
      seen.set(id, [...(seen.get(id) ?? []), `${n} ${headers.of} attempt ${attempt} replays ${replays}`])
    })
    await expect.poll(() => seen.size, SOON).toBe(COUNT)
    await expect.poll(counts, SOON).toEqual({ source: 0, dead: 0 })
    await consumer.close()
    return seen
  }

  test(`${ROUNDS} times loses nothing, and finishes when it is run again`, { timeout: 300_000 }, async () => {
    await deadLetterAll()
    let told = 0
    for (let round = 0; round < ROUNDS; round++) {
      const replayer = startReplayer(server.url(), queue.name, { rate: RATE })
      await replayer.reached(10 + Math.floor(Math.random() * 15))
      await replayer.kill()
      told += replayer.replayed
      // What it held comes back; what it had stored and not yet taken off the other queue is in both.
      await expect
        .poll(async () => {
          const { source, dead } = await counts()
          return source >= told && source + dead >= COUNT
        }, SOON)
        .toBe(true)
      expect((await counts()).dead, 'it was killed half way').toBeGreaterThan(0)
    }
    let moved = 0
    await expect
      .poll(async () => {
        moved += (await queue.deadLetters.replay()).replayed
        return (await counts()).dead
      }, SOON)
      .toBe(0)
    expect(moved).toBeGreaterThan(0)
    const seen = await drain()
    expect([...seen.keys()].sort()).toEqual([...IDS].sort())
    for (const [n, id] of IDS.entries())
      expect(new Set(seen.get(id)), id).toEqual(new Set([`${n} ${id} attempt 1 replays 1`]))
    const twice = [...seen.values()].filter(({ length }) => length > 1).length
    if (atomic) expect(twice).toBe(0)
    process.stdout.write(
      `  ${image}: ${ROUNDS} replays killed after ${told} moves told; ${moved} moved at last, ${twice} twice, 0 lost\n`,
    )
    await queue.delete()
    await queue.deadLetters.queue.delete()
  })

  test('while its canary is out loses nothing, and the next replay finishes', {
    timeout: 300_000,
  }, async () => {
    await deadLetterAll()
    const first = startReplayer(server.url(), queue.name, { canary: CANARY, canaryWait: '5m' })
    await first.waiting()
    await first.kill()
    await expect.poll(counts, SOON).toEqual({ source: CANARY, dead: COUNT - CANARY })
    // What the killed one replayed is handled while the next one waits for a canary of its own.
    const seen = new Map<string, number>()
    const consumer = queue.consume((_, { id }) => {
      seen.set(id, (seen.get(id) ?? 0) + 1)
    })
    const { replayed, canary } = await queue.deadLetters.replay({}, { canary: CANARY })
    expect(canary).toEqual({ replayed: CANARY, handled: CANARY, died: 0, unknown: 0, passed: true })
    expect(replayed).toBe(COUNT - CANARY)
    await expect.poll(() => seen.size, SOON).toBe(COUNT)
    await expect.poll(counts, SOON).toEqual({ source: 0, dead: 0 })
    await consumer.close()
    if (atomic) expect(new Set(seen.values())).toEqual(new Set([1]))
    await queue.delete()
    await queue.deadLetters.queue.delete()
  })
})
