import { afterEach, describe, expect, test, vi } from 'vitest'
import { memory, memoryFaults } from '../../adapter-memory/src/index.js'
import { never, ORDERS, outgoing } from '../../adapter-memory/test-support.js'
import type { Clock } from './clock.js'
import { sleep, systemClock } from './clock.js'
import { createBroker } from './create-broker.js'
import type { DeadLetter } from './dead-letters.js'
import { DeadlineSignals } from './deadline-signals.js'
import { defineQueue } from './define-queue.js'
import type { Driver } from './driver.js'
import { MsgloopError, Reject } from './error.js'
import { onFlow } from './flow.js'
import { immediate } from './retry.js'
import { manualClock } from './testing/index.js'

const HOUR_MS = 3_600_000

/** Time goes on evenly, and somebody sets the wall clock. The broker does not notice. */
function setUp() {
  const clock = manualClock()
  let offMs = 0
  const wall: Clock = {
    now: () => clock.now() + offMs,
    elapsed: () => clock.elapsed(),
    after: (ms, fn) => clock.after(ms, fn),
  }
  const driver = memory({ clock })
  const broker = createBroker(driver, { clock: wall, random: () => 0 })
  const set = (ms: number): void => {
    offMs += ms
  }
  return { clock, wall, set, driver, broker }
}

/** What has become of a promise so far: `pending`, the code it rejected with, or what it resolved with. */
function fate(promise: Promise<unknown>): () => unknown {
  let state: unknown = 'pending'
  promise.then(
    (value) => {
      state = value
    },
    (error: unknown) => {
      state = error instanceof MsgloopError ? error.code : error
    },
  )
  return () => state
}

const opened: { close(): Promise<void> }[] = []

afterEach(async () => {
  vi.useRealTimers()
  for (const broker of opened.splice(0)) await broker.close()
})

describe.each([
  ['back', -HOUR_MS],
  ['forward', HOUR_MS],
])('when the wall clock is set %s by an hour', (_, byMs) => {
  test('a send ends after its sendTimeout, neither before nor after', async () => {
    const { clock, set, driver, broker } = setUp()
    opened.push(broker)
    const queue = broker.queue(defineQueue<number>('q', { sendTimeout: '30s' }))
    memoryFaults(driver).down()
    const first = fate(queue.send(1))
    await clock.advance(10_000)
    const second = fate(queue.send(2))
    set(byMs)
    await clock.advance(19_999)
    expect([first(), second()]).toEqual(['pending', 'pending'])
    await clock.advance(1)
    expect([first(), second()]).toEqual(['TIMEOUT', 'pending'])
    await clock.advance(9_999)
    expect(second()).toBe('pending')
    await clock.advance(1)
    expect(second()).toBe('TIMEOUT')
  })

  test('a receive waits for as long as it was told, also after a message it could not show', async () => {
    const { clock, set, driver, broker } = setUp()
    opened.push(broker)
    const queue = broker.queue(defineQueue<number>(ORDERS.name))
    const received = fate(queue.receive({ wait: '5s' }))
    await clock.advance(1_000)
    set(byMs)
    await sendUndecodable(driver)
    await clock.advance(3_999)
    expect(received()).toBe('pending')
    await clock.advance(1)
    expect(received()).toEqual([])
    expect(await queue.deadLetters.queue.stats()).toMatchObject({ ready: 1 })
  })

  test('the lease of a running handler is renewed, and not taken for lost', async () => {
    const { clock, set, driver, broker } = setUp()
    opened.push(broker)
    const queue = broker.queue(defineQueue<number>('q', { lease: '3s' }))
    const handled: AbortSignal[] = []
    let end = (): void => {}
    const consumer = queue.consume(
      (_body, { signal }) => {
        handled.push(signal)
        return new Promise<void>((resolve) => {
          end = resolve
        })
      },
      { concurrency: 2 },
    )
    await consumer.ready
    await queue.send(1)
    await clock.advance(500)
    set(byMs)
    // Four leases: were it not renewed, the second slot would have the message too.
    await clock.advance(12_000)
    expect(handled.map(({ aborted }) => aborted)).toEqual([false])
    end()
    await clock.advance(0)
    expect(await queue.stats()).toMatchObject({ ready: 0, inFlight: 0 })
    expect(driver.capabilities.lease).toBe('renewable')
  })

  test('a handler keeps its message for its maxLease, neither shorter nor longer', async () => {
    const { clock, set, broker } = setUp()
    opened.push(broker)
    const queue = broker.queue(defineQueue<number>('q', { lease: '2s', maxLease: '10s' }))
    const signals: AbortSignal[] = []
    let end = (): void => {}
    const ended = new Promise<void>((resolve) => {
      end = resolve
    })
    const consumer = queue.consume((_body, { signal }) => {
      signals.push(signal)
      return ended
    })
    await consumer.ready
    await queue.send(1)
    await clock.advance(0)
    set(byMs)
    await clock.advance(9_000)
    expect(signals.map(({ aborted }) => aborted)).toEqual([false])
    await clock.advance(1_000)
    expect(signals[0]?.reason).toMatchObject({ code: 'LEASE_LOST' })
    end()
  })

  test('a replay goes on at its rate', async () => {
    const { clock, set, broker } = setUp()
    opened.push(broker)
    const queue = broker.queue(defineQueue<number>('q'))
    const consumer = queue.consume(() => {
      throw new Reject('no')
    })
    await queue.sendBatch([1, 2, 3, 4, 5].map((body) => ({ body })))
    await clock.advance(100)
    await consumer.close()
    const replayed = fate(queue.deadLetters.replay({}, { rate: 1 }))
    await clock.advance(2_000)
    set(byMs)
    await clock.advance(1_999)
    expect(replayed()).toBe('pending')
    await clock.advance(1)
    expect(replayed()).toMatchObject({ replayed: 5 })
  })

  test('durations are told as they were', async () => {
    const { clock, set, driver, broker } = setUp()
    opened.push(broker)
    const queue = broker.queue(defineQueue<number>('q', { retry: immediate({ attempts: 1 }) }))
    const told = new Map<string, number | undefined>()
    const stop = onFlow(({ step, durationMs }) => void told.set(step, durationMs))
    const consumer = queue.consume(async () => {
      await sleep(clock, 1_000)
      throw new Error('always')
    })
    await consumer.ready
    memoryFaults(driver).down()
    const sent = queue.send(1)
    await clock.advance(0)
    set(byMs)
    memoryFaults(driver).up()
    await clock.advance(5_000)
    await sent
    set(byMs)
    await clock.advance(5_000)
    stop()
    const entries: DeadLetter<number>[] = []
    for await (const entry of queue.deadLetters.list()) entries.push(entry)
    for (const ms of [entries[0]?.attempts[0]?.durationMs, told.get('sent'), told.get('dead-lettered')]) {
      expect(ms).toBeGreaterThanOrEqual(0)
      expect(ms).toBeLessThanOrEqual(6_000)
    }
  })

  test('a call of a driver has all of its time, and no more', async () => {
    const { clock, wall, set } = setUp()
    const signals = new DeadlineSignals(wall, 30_000)
    const first = signals.next()
    await clock.advance(20_000)
    set(byMs)
    const second = signals.next()
    // Calls begun within 250 ms share a signal, so each may last that much longer.
    await clock.advance(10_250)
    expect([first.aborted, second.aborted]).toEqual([true, false])
    await clock.advance(19_749)
    expect(second.aborted).toBe(false)
    await clock.advance(251)
    expect(second.aborted).toBe(true)
  })

  test('the clock of the machine tells elapsed time as if nothing had happened', () => {
    vi.useFakeTimers({ toFake: ['Date'] })
    const before = systemClock.elapsed()
    vi.setSystemTime(Date.now() + byMs)
    const passed = systemClock.elapsed() - before
    expect(passed).toBeGreaterThanOrEqual(0)
    expect(passed).toBeLessThan(HOUR_MS)
  })
})

async function sendUndecodable(driver: Driver): Promise<void> {
  const sender = await driver.openSender(ORDERS, never)
  const body = Buffer.from('{"cut": ')
  expect(await sender.send([outgoing('bad', 0, { body, contentType: 'application/json' })], never)).toEqual(
    [],
  )
  await sender.close()
}
