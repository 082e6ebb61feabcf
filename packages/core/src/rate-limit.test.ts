import { expect, test } from 'vitest'
import { memory } from '../../adapter-memory/src/index.js'
import { createBroker } from './create-broker.js'
import { defineQueue } from './define-queue.js'
import { rateLimit } from './rate-limit.js'
import { immediate } from './retry.js'
import { manualClock } from './testing/index.js'

function bench() {
  const clock = manualClock()
  const broker = createBroker(memory({ clock }), { clock })
  const start = clock.elapsed()
  return { clock, broker, at: () => clock.elapsed() - start }
}

test('no window of its length holds more starts than the limit', async () => {
  const { clock, broker, at } = bench()
  const queue = broker.queue<number>('orders')
  const starts: number[] = []
  queue.consume(() => void starts.push(at()), {
    middleware: [rateLimit({ limit: 3, per: '1s', clock })],
  })
  for (let n = 0; n < 4; n++) await queue.send(n)
  await clock.advance(600)
  for (let n = 0; n < 4; n++) await queue.send(n)
  await clock.advance(5_000)
  expect(starts).toEqual([0, 0, 0, 1_000, 1_000, 1_000, 2_000, 2_000])
  await broker.close()
})

test('consumers that share one share its limit', async () => {
  const { clock, broker, at } = bench()
  const limit = rateLimit({ limit: 1, per: 100, clock })
  const starts: number[] = []
  for (const name of ['a', 'b']) {
    const queue = broker.queue<number>(name)
    queue.consume(() => void starts.push(at()), { middleware: [limit] })
    await queue.send(1)
    await queue.send(2)
  }
  await clock.advance(1_000)
  expect(starts).toEqual([0, 100, 200, 300])
  await broker.close()
})

test('waiting keeps the lease, costs no attempt and no handlerTimeout', async () => {
  const { clock, broker, at } = bench()
  const queue = broker.queue<number>(
    defineQueue('orders', { lease: '1s', retry: immediate({ attempts: 1 }) }),
  )
  const runs: string[] = []
  queue.consume(
    (body, message) =>
      void runs.push(`${body} at ${at()}, attempt ${message.attempt}, ${message.deliveries}`),
    { handlerTimeout: 100, middleware: [rateLimit({ limit: 1, per: '10s', clock })] },
  )
  await queue.send(1)
  await queue.send(2)
  await clock.advance(30_000)
  expect(runs).toEqual(['1 at 0, attempt 1, 1', '2 at 10000, attempt 1, 1'])
  expect((await queue.stats()).dead).toBe(0)
  await broker.close()
})

test('pausing and closing give back what waits, which counts for nothing', async () => {
  const { clock, broker } = bench()
  const queue = broker.queue<number>('orders')
  const runs: number[] = []
  const consumer = queue.consume((body) => void runs.push(body), {
    middleware: [rateLimit({ limit: 1, per: '1h', clock })],
  })
  for (const n of [1, 2, 3]) await queue.send(n)
  await clock.advance(10)
  expect(await queue.stats()).toMatchObject({ ready: 0, inFlight: 2 })
  await consumer.pause()
  expect(await queue.stats()).toMatchObject({ ready: 2, inFlight: 0 })
  consumer.resume()
  await clock.advance(10)
  expect(await queue.stats()).toMatchObject({ ready: 0, inFlight: 2 })
  await consumer.close()
  const other = queue.consume((body, { attempt, deliveries }) => {
    expect([attempt, deliveries]).toEqual([1, 1])
    runs.push(body)
  })
  await clock.advance(10)
  expect(runs).toEqual([1, 2, 3])
  await other.close()
  await broker.close()
})

test.each([
  [{ limit: 0, per: '1s' }, 'limit'],
  [{ limit: 1.5, per: '1s' }, 'limit'],
  [{ limit: 1, per: 0 }, 'per'],
  [{ limit: 1, per: '1s', burst: 2 }, 'burst'],
])('%o is refused', (options, name) => {
  expect(() => rateLimit(options as never)).toThrow(
    expect.objectContaining({ code: 'INVALID', message: expect.stringContaining(name) }),
  )
})
