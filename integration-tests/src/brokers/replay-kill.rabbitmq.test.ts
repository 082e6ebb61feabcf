import { randomUUID } from 'node:crypto'
import { rabbitmq } from '@msgloop/adapter-rabbitmq'
import type { Broker, Queue } from '@msgloop/core'
import { createBroker, Reject } from '@msgloop/core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { faultQueue } from '../fault-queue.js'
import type { RabbitmqServer } from '../rabbitmq-server.js'
import { RABBITMQ_IMAGES, startRabbitmq } from '../rabbitmq-server.js'
import { startReplayer } from '../replayer-process.js'

const COUNT = 300
const ROUNDS = 8
/** Slow enough that no round comes to its end. */
const RATE = 100
const IDS: readonly string[] = Array.from({ length: COUNT }, (_, n) => `m-${n}`)
const SOON = { timeout: 60_000 }

describe.each(RABBITMQ_IMAGES)('a replay that is SIGKILLed on %s', (image) => {
  let server: RabbitmqServer
  let broker: Broker
  let queue: Queue<{ n: number }>

  beforeAll(async () => {
    server = await startRabbitmq(image)
  })
  afterAll(async () => {
    await server?.stop()
  })
  beforeEach(() => {
    broker = createBroker(rabbitmq({ url: server.url() }))
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
      const replayer = startReplayer(server.url(), queue.name, RATE)
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
    process.stdout.write(
      `  ${image}: ${ROUNDS} replays killed after ${told} moves told; ${moved} moved at last, ${twice} twice, 0 lost\n`,
    )
    await queue.delete()
    await queue.deadLetters.queue.delete()
  })
})
