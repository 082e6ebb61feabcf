import { expect, test } from 'vitest'
import { memory } from '../../adapter-memory/src/index.js'
import type { CircuitBreakerOptions } from './circuit-breaker.js'
import { circuitBreaker } from './circuit-breaker.js'
import type { ConsumeOptions } from './consumer.js'
import { createBroker } from './create-broker.js'
import { defineQueue } from './define-queue.js'
import { Reject } from './error.js'
import { fixed } from './retry.js'
import { manualClock } from './testing/index.js'

/** A queue whose handler fails as long as `down`, behind a breaker of 3 failures in 10 s that pauses for 30 s. */
function bench(options: Partial<CircuitBreakerOptions> = {}, consume: ConsumeOptions = {}) {
  const clock = manualClock()
  const broker = createBroker(memory({ clock }), { clock })
  const start = clock.elapsed()
  const states: string[] = []
  const breaker = circuitBreaker({
    failures: 3,
    within: '10s',
    pause: '30s',
    clock,
    onChange: (state) => void states.push(`${state} at ${clock.elapsed() - start}`),
    ...options,
  })
  const queue = broker.queue<number>(
    defineQueue('orders', { retry: fixed({ attempts: 3, delay: '1s' }), lease: '5s' }),
  )
  const its = { down: true, error: (): unknown => new Error('down') }
  const runs: string[] = []
  const consumer = queue.consume(
    (body, { attempt }) => {
      runs.push(`${body}.${attempt} at ${clock.elapsed() - start}`)
      if (its.down) throw its.error()
    },
    { concurrency: 4, middleware: [breaker], ...consume },
  )
  return { clock, broker, queue, breaker, states, runs, its, consumer }
}

test('it opens after so many failures, tries one message after its pause, and closes when that succeeds', async () => {
  const { clock, broker, queue, breaker, states, runs, its } = bench({}, { concurrency: 1 })
  for (let n = 1; n <= 6; n++) await queue.send(n)
  await clock.advance(0)
  expect(runs).toEqual(['1.1 at 0', '2.1 at 0', '3.1 at 0'])
  expect(breaker.state).toBe('open')
  await clock.advance(30_000)
  expect(runs.slice(3)).toEqual(['4.1 at 30000'])
  expect(states).toEqual(['open at 0', 'half-open at 30000', 'open at 30000'])
  its.down = false
  await clock.advance(30_000)
  expect(breaker.state).toBe('closed')
  await clock.advance(5_000)
  expect(runs.length).toBe(10)
  expect(await queue.stats()).toMatchObject({ ready: 0, inFlight: 0, delayed: 0, dead: 0 })
  await broker.close()
})

test('an outage far longer than all retries dead-letters nothing but what was tried', async () => {
  const { clock, broker, queue, its } = bench()
  for (let n = 1; n <= 50; n++) await queue.send(n)
  await clock.advance(600_000)
  its.down = false
  await clock.advance(120_000)
  const { dead, ready, inFlight, delayed } = await queue.stats()
  expect({ ready, inFlight, delayed }).toEqual({ ready: 0, inFlight: 0, delayed: 0 })
  // 20 pauses in ten minutes, one try each, and three tries to a message.
  expect(dead).toBeLessThanOrEqual(8)
  await broker.close()
})

test('successes beside the failures keep it closed, and old failures are forgotten', async () => {
  const { clock, broker, queue, breaker, its } = bench({ ratio: 0.5 })
  its.down = false
  for (let n = 1; n <= 10; n++) await queue.send(n)
  await clock.advance(0)
  its.down = true
  for (let n = 1; n <= 3; n++) await queue.send(n)
  await clock.advance(0)
  expect(breaker.state, '3 of 13 failed').toBe('closed')
  its.down = false
  await clock.advance(11_000)
  its.down = true
  await queue.send(4)
  await queue.send(5)
  await clock.advance(0)
  expect(breaker.state, 'two within 10 s').toBe('closed')
  await broker.close()
})

test('what tells of the message and not of the outage does not open it', async () => {
  const { clock, broker, queue, breaker, its } = bench()
  its.error = () => new Reject('no address')
  for (let n = 1; n <= 20; n++) await queue.send(n)
  await clock.advance(0)
  expect(breaker.state).toBe('closed')
  expect((await queue.stats()).dead).toBe(20)
  await broker.close()
})

test('a handler that takes too long is a failure', async () => {
  const clock = manualClock()
  const broker = createBroker(memory({ clock }), { clock })
  const breaker = circuitBreaker({ failures: 1, within: '10s', pause: '30s', clock })
  const queue = broker.queue('slow')
  const consumer = queue.consume(() => new Promise(() => {}), { handlerTimeout: 100, middleware: [breaker] })
  await queue.send(1)
  await clock.advance(100)
  expect(breaker.state).toBe('open')
  await consumer.close()
  await broker.close()
})

test('while it is open, closing gives back what waits, at no cost of an attempt', async () => {
  const { clock, broker, queue, consumer } = bench({}, { concurrency: 4 })
  for (let n = 1; n <= 10; n++) await queue.send(n)
  await clock.advance(2_000)
  await consumer.close()
  expect(await queue.stats()).toMatchObject({ inFlight: 0, dead: 0 })
  const attempts: number[] = []
  queue.consume((_, { attempt }) => void attempts.push(attempt))
  await clock.advance(2_000)
  expect(attempts.length).toBe(10)
  expect(attempts.filter((attempt) => attempt === 1).length).toBeGreaterThanOrEqual(6)
  await broker.close()
})

test.each([
  [{ failures: 0 }, 'failures'],
  [{ ratio: 0 }, 'ratio'],
  [{ ratio: 2 }, 'ratio'],
  [{ pause: 0 }, 'pause'],
  [{ within: -1 }, 'within'],
  [{ isFailure: 'yes' }, 'isFailure'],
  [{ threshold: 1 }, 'threshold'],
])('%o is refused', (options, name) => {
  expect(() => bench(options as never)).toThrow(
    expect.objectContaining({ code: 'INVALID', message: expect.stringContaining(name) }),
  )
})
