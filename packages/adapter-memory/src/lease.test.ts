import { manualClock } from '@msgloop/core/testing'
import { expect, test } from 'vitest'
import {
  ack,
  bench,
  code,
  ids,
  never,
  ORDERS,
  ORDERS_DLQ,
  openReceiver,
  outgoing,
  release,
  retry,
  settle,
  take,
  takeOne,
} from '../test-support.js'
import { memory } from './memory.js'

test('a delivery whose lease runs out is ready again at that millisecond, with deliveries one higher', async () => {
  const { clock, send, receiver } = await bench()
  const [first, second] = [await receiver({ leaseMs: 5_000 }), await receiver()]
  await send('a')
  expect(await takeOne(first)).toMatchObject({ deliveries: 1 })
  await clock.advance(4_999)
  expect(await take(second)).toEqual([])
  await clock.advance(1)
  expect(await takeOne(second)).toMatchObject({ message: { id: 'a' }, deliveries: 2 })
})

test('settling in the last millisecond of a lease counts; one later, the lease is lost', async () => {
  const { clock, send, receiver } = await bench()
  const orders = await receiver({ leaseMs: 5_000 })
  await send('a', 'b')
  const [a, b] = await take(orders)
  if (!a || !b) throw new Error('expected two messages')
  await clock.advance(4_999)
  expect(await settle(orders, a, ack)).toBe('ok')
  await clock.advance(1)
  expect(await settle(orders, b, ack)).toBe('LEASE_LOST')
  expect(ids(await take(orders))).toEqual(['b'])
})

test('a late settle never touches the delivery of the next holder', async () => {
  const { clock, send, receiver } = await bench()
  const [late, next] = [await receiver({ leaseMs: 1_000 }), await receiver()]
  await send('a')
  const lost = await takeOne(late)
  await clock.advance(1_000)
  const held = await takeOne(next)
  for (const verdict of [ack, release, retry(1_000)])
    expect(await settle(late, lost, verdict)).toBe('LEASE_LOST')
  expect(await settle(next, lost, ack)).toBe('LEASE_LOST')
  expect(await settle(next, held, ack)).toBe('ok')
})

test('a token that no receiver gave out is nobody’s', async () => {
  const { receiver } = await bench()
  const orders = await receiver()
  const [failure] = await orders.settle([{ token: { forged: true }, verdict: ack }])
  expect(code(failure?.error)).toBe('LEASE_LOST')
})

test('extending moves the end of the lease to so many milliseconds from now', async () => {
  const { clock, send, receiver } = await bench()
  const orders = await receiver({ leaseMs: 1_000 })
  await send('a')
  const a = await takeOne(orders)
  for (let i = 0; i < 5; i++) {
    await clock.advance(999)
    expect(await orders.extend?.([a.token], 1_000)).toEqual([])
  }
  await clock.advance(999)
  expect(await take(orders)).toEqual([])
  await clock.advance(1)
  expect(ids(await take(orders))).toEqual(['a'])
})

test('what is lost, settled or foreign cannot be extended, and extending it changes nothing', async () => {
  const { clock, send, receiver } = await bench()
  const [orders, other] = [await receiver({ leaseMs: 1_000 }), await receiver()]
  await send('lost', 'retried', 'held')
  const deliveries = await take(orders)
  const [lost, retried, held] = deliveries
  if (!lost || !retried || !held) throw new Error('expected three messages')
  await settle(orders, retried, retry(5_000))
  await orders.extend?.([held.token], 10_000)
  await clock.advance(1_000)
  const tokens = deliveries.map(({ token }) => token)
  expect((await orders.extend?.(tokens, 60_000))?.map(({ index, error }) => [index, code(error)])).toEqual([
    [0, 'LEASE_LOST'],
    [1, 'LEASE_LOST'],
  ])
  expect((await other.extend?.(tokens, 60_000))?.length).toBe(3)
  expect(ids(await take(other))).toEqual(['lost'])
  await clock.advance(4_000)
  expect(ids(await take(other))).toEqual(['retried'])
})

test('settling again what is settled is no failure and does nothing', async () => {
  const { driver, spec, send, receiver } = await bench()
  const orders = await receiver()
  await send('a')
  const a = await takeOne(orders)
  expect([
    await settle(orders, a, ack),
    await settle(orders, a, ack),
    await settle(orders, a, release),
  ]).toEqual(['ok', 'ok', 'ok'])
  await orders.close()
  expect(await settle(orders, a, ack)).toBe('ok')
  expect(await driver.admin.stats(spec, never)).toMatchObject({
    ready: 0,
    inFlight: 0,
  })
})

test('closing a receiver returns what it holds at once, in order', async () => {
  const { send, receiver } = await bench()
  const [first, second] = [await receiver(), await receiver()]
  await send('a', 'b', 'c')
  const [a, b] = await take(first)
  if (!a || !b) throw new Error('expected messages')
  await first.stop()
  expect(await settle(first, a, ack)).toBe('ok')
  expect(await take(second)).toEqual([])
  await first.close()
  await first.close()
  expect(ids(await take(second))).toEqual(['b', 'c'])
  expect(await settle(first, b, ack)).toBe('LEASE_LOST')
})

test('closing a driver returns what its receivers hold to the other drivers of that broker', async () => {
  const { clock, driver, spec, send, receiver } = await bench({ name: 'shared-by-two' })
  const other = memory({ clock, name: 'shared-by-two' })
  const second = await openReceiver(other, spec)
  await send('a')
  await takeOne(await receiver())
  await driver.close()
  const again = await takeOne(second)
  expect(again).toMatchObject({ message: { id: 'a' }, deliveries: 2 })
  await settle(second, again, ack)
  await other.close()
})

test('a release counts neither as an attempt nor as a delivery', async () => {
  const { send, receiver } = await bench()
  const orders = await receiver()
  await send('a')
  for (let i = 0; i < 3; i++) await settle(orders, await takeOne(orders), release)
  const a = await takeOne(orders)
  expect(a.deliveries).toBe(1)
  expect(a.attempt).toBeUndefined()
})

test('leases and delays end by the clock, in the order they were due, even where every timer is late', async () => {
  let now = 0
  const driver = memory({ clock: { now: () => now, elapsed: () => now, after: () => () => {} } })
  await driver.admin.declare(ORDERS, never)
  const sender = await driver.openSender(ORDERS, never)
  const orders = await openReceiver(driver, ORDERS, { leaseMs: 1_000 })
  await sender.send([outgoing('leased'), outgoing('sooner', 999), outgoing('later', 1_001)], never)
  const leased = await takeOne(orders)
  now = 1_001
  expect(await settle(orders, leased, ack)).toBe('LEASE_LOST')
  expect((await orders.extend?.([leased.token], 1_000))?.length).toBe(1)
  now = 5_000
  await sender.send([outgoing('sent')], never)
  expect(ids(await take(orders))).toEqual(['sooner', 'leased', 'later', 'sent'])
})

test.each([-3_600_000, 3_600_000])(
  'leases and delays last as long as they were given for, though the wall clock is set by %i ms',
  async (byMs) => {
    const clock = manualClock()
    let offMs = 0
    const wall = { ...clock, now: () => clock.now() + offMs }
    const driver = memory({ clock: wall })
    await driver.admin.declare(ORDERS_DLQ, never)
    await driver.admin.declare(ORDERS, never)
    const sender = await driver.openSender(ORDERS, never)
    await sender.send([outgoing('leased'), outgoing('delayed', 5_000)], never)
    const [first, second] = [
      await openReceiver(driver, ORDERS, { leaseMs: 5_000 }),
      await openReceiver(driver, ORDERS),
    ]
    await takeOne(first)
    offMs = byMs
    await clock.advance(4_999)
    expect(ids(await take(second))).toEqual([])
    await clock.advance(1)
    expect(ids(await take(second)).sort()).toEqual(['delayed', 'leased'])
  },
)
