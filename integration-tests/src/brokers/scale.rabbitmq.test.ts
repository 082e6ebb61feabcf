import { randomUUID } from 'node:crypto'
import { rabbitmq } from '@msgloop/adapter-rabbitmq'
import type { Broker } from '@msgloop/core'
import { createBroker, defineQueue, fixed } from '@msgloop/core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { RabbitmqServer } from '../rabbitmq-server.js'
import { NEWEST_AND_OLDEST, startRabbitmq } from '../rabbitmq-server.js'

/** What the clauses T4 and W3 name. */
const COUNT = 10_000
const TIMEOUT = { timeout: 180_000 }

/** Sends in steps that leave the consumer room to breathe on two cores. */
async function sendAll(count: number, send: (n: number) => Promise<unknown>): Promise<void> {
  for (let n = 0; n < count; n += 500) await Promise.all(Array.from({ length: 500 }, (_, i) => send(n + i)))
}

describe.each(NEWEST_AND_OLDEST)('ten thousand on %s', (image) => {
  let server: RabbitmqServer
  let broker: Broker
  let name: string

  beforeAll(async () => {
    server = await startRabbitmq(image)
  })
  afterAll(async () => {
    await server?.stop()
  })
  beforeEach(() => {
    broker = createBroker(rabbitmq({ url: server.url() }))
    name = `scale-${randomUUID()}`
  })
  afterEach(async () => {
    await broker.close()
  })

  test('waiting retries hold up no other message (T4)', TIMEOUT, async () => {
    const queue = broker.queue(
      defineQueue<{ n: number }>(name, { retry: fixed({ attempts: 2, delay: '20s' }) }),
    )
    let failed = 0
    let retried = 0
    let others = 0
    let retriedBefore: number | undefined
    const consumer = queue.consume(
      ({ n }, { attempt }) => {
        if (n < 0) {
          if (++others === 100) retriedBefore = retried
        } else if (attempt === 1) {
          failed++
          throw new Error('fails once')
        } else retried++
      },
      { concurrency: 100 },
    )
    await sendAll(COUNT, (n) => queue.send({ n }))
    await expect.poll(() => failed, { timeout: 60_000 }).toBe(COUNT)
    await Promise.all(Array.from({ length: 100 }, () => queue.send({ n: -1 })))
    await expect.poll(() => others, { timeout: 60_000 }).toBe(100)
    await expect.poll(() => retried, { timeout: 100_000 }).toBe(COUNT)
    // Had they waited behind the retries, all of these would have been through first.
    expect(retriedBefore).toBeLessThan(COUNT)
    await consumer.close()
    await queue.delete()
  })

  test('mixed delays come when they are due, each once and none early (W3)', TIMEOUT, async () => {
    const queue = broker.queue(defineQueue<{ n: number; due: number }>(name))
    const seen = new Map<number, number>()
    let early = 0
    let latest = 0
    const consumer = queue.consume(
      ({ n, due }) => {
        seen.set(n, (seen.get(n) ?? 0) + 1)
        const late = Date.now() - due
        if (late < 0) early++
        latest = Math.max(latest, late)
      },
      { concurrency: 100 },
    )
    await consumer.ready
    await sendAll(COUNT, (n) => {
      // 0.5 to 15 s in no order.
      const delay = 500 + ((n * 7_919) % 14_500)
      return queue.send({ n, due: Date.now() + delay }, { delay })
    })
    await expect.poll(() => seen.size, { timeout: 120_000 }).toBe(COUNT)
    process.stdout.write(`  ${image}: ${COUNT} mixed delays, the latest by ${latest} ms\n`)
    expect(early).toBe(0)
    expect([...seen.values()].filter((times) => times !== 1)).toEqual([])
    await consumer.close()
    await queue.delete()
  })
})
