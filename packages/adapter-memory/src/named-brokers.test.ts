import { manualClock } from '@msgloop/core/testing'
import { expect, test } from 'vitest'
import {
  ack,
  code,
  ids,
  never,
  ORDERS,
  openReceiver,
  outgoing,
  settle,
  take,
  takeOne,
} from '../test-support.js'
import { memory } from './memory.js'

test('drivers of one name share one broker; drivers without a name share nothing', async () => {
  const clock = manualClock()
  const [a, b, c, d] = [{ name: 'one' }, { name: 'one' }, {}, {}].map((options) =>
    memory({ clock, ...options }),
  )
  if (!a || !b || !c || !d) throw new Error('expected four drivers')
  await a.admin.declare(ORDERS, never)
  await c.admin.declare(ORDERS, never)
  const missing = await Promise.all(
    [b, d].map(async ({ admin }) => (await admin.verify(ORDERS, never)).length),
  )
  expect(missing).toEqual([0, 1])
  expect([a.address, c.address]).toEqual(['memory://one', 'memory:'])
  for (const driver of [a, b, c, d]) await driver.close()
})

test('a named broker keeps its messages while nobody is connected, and delays go on', async () => {
  const clock = manualClock()
  const first = memory({ clock, name: 'kept' })
  await first.admin.declare(ORDERS, never)
  const sender = await first.openSender(ORDERS, never)
  await sender.send([outgoing('now'), outgoing('later', 60_000)], never)
  await first.close()
  await clock.advance(60_000)
  const second = memory({ clock, name: 'kept' })
  const orders = await openReceiver(second, ORDERS)
  expect(ids(await take(orders))).toEqual(['now', 'later'])
  await second.admin.delete(ORDERS, never)
  await second.close()
})

test('a named broker is forgotten once nobody is connected and nothing is left in it', async () => {
  const first = memory({ clock: manualClock(), name: 'forgotten' })
  await first.admin.declare(ORDERS, never)
  const sender = await first.openSender(ORDERS, never)
  await sender.send([outgoing('a')], never)
  const orders = await openReceiver(first, ORDERS)
  await settle(orders, await takeOne(orders), ack)
  await first.close()
  await first.close()
  const second = memory({ name: 'forgotten', emulate: 'nats' })
  expect(await second.admin.verify(ORDERS, never)).toMatchObject([{ actual: 'missing' }])
  await second.close()
})

test('joining a named broker with another clock or emulation is refused', async () => {
  const driver = memory({ name: 'taken', emulate: 'sqs' })
  expect(() => memory({ name: 'taken' })).toThrow(/"taken" exists with another "emulate"/)
  expect(() => memory({ name: 'taken', emulate: 'sqs', clock: manualClock() })).toThrow(/another "clock"/)
  await driver.close()
  await memory({ name: 'taken' }).close()
})

test('after close everything fails with CLOSED, and no timer is left', async () => {
  const cancelled: number[] = []
  let timers = 0
  const clock = manualClock()
  const counting = {
    now: clock.now,
    elapsed: clock.elapsed,
    after(ms: number, fn: () => void) {
      const timer = timers++
      const cancel = clock.after(ms, fn)
      return () => {
        cancelled.push(timer)
        cancel()
      }
    },
  }
  const driver = memory({ clock: counting })
  await driver.admin.declare(ORDERS, never)
  const sender = await driver.openSender(ORDERS, never)
  const orders = await openReceiver(driver, ORDERS)
  await sender.send([outgoing('a'), outgoing('later', 60_000)], never)
  await takeOne(orders)
  const waiting = orders.receive(1, 60_000, never).catch(code)
  await Promise.resolve()
  await driver.close()
  expect(await waiting).toBe('CLOSED')
  expect(new Set(cancelled).size).toBe(timers)
  expect(await driver.connect(never).catch(code)).toBe('CLOSED')
  expect(await sender.send([outgoing('b')], never).catch(code)).toBe('CLOSED')
  expect(await driver.openSender(ORDERS, never).catch(code)).toBe('CLOSED')
  expect(await driver.admin.stats(ORDERS, never).catch(code)).toBe('CLOSED')
})

test('an option that is not possible is refused by name', () => {
  expect(() => memory({ name: 'no spaces' })).toThrow(/option "name" is "no spaces"/)
  const emulate: string = 'kafka'
  expect(() => memory(JSON.parse(JSON.stringify({ emulate })))).toThrow(/option "emulate" is "kafka"/)
})
