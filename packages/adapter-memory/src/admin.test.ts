import type { Admin, Delivery } from '@msgloop/core/driver'
import { expect, test } from 'vitest'
import {
  ack,
  bench,
  code,
  DAY_MS,
  ids,
  never,
  ORDERS,
  ORDERS_DLQ,
  openReceiver,
  outgoing,
  settle,
  take,
  takeOne,
} from '../test-support.js'

/** Every entry, a page at a time; `between` runs before each further page. */
async function browseAll(
  admin: Admin,
  limit: number,
  between = async (): Promise<void> => {},
): Promise<string[]> {
  const seen: Delivery[] = []
  let cursor: string | undefined
  for (;;) {
    const page = await admin.browse?.(ORDERS, limit, cursor, never)
    if (!page) throw new Error('expected browse to be there')
    expect(page.entries.length).toBeLessThanOrEqual(limit)
    seen.push(...page.entries)
    cursor = page.cursor
    if (cursor === undefined) return ids(seen)
    await between()
  }
}

test('declaring again with the same settings does nothing', async () => {
  const { driver, send, receiver } = await bench()
  await send('a')
  await driver.admin.declare({ ...ORDERS }, never)
  expect(ids(await take(await receiver()))).toEqual(['a'])
})

test('declaring with other settings fails with DRIFT, names each, and leaves the queue alone', async () => {
  const { driver, send, receiver } = await bench()
  await send('a')
  const other = { ...ORDERS, deadLetter: 'elsewhere', dedupWindowMs: 1_000, retentionMs: 5 }
  await expect(driver.admin.declare(other, never)).rejects.toMatchObject({
    code: 'DRIFT',
    message:
      'queue "orders" exists with other settings: deadLetter is orders.dlq, not elsewhere; retentionMs is none, not 5; dedupWindowMs is 0, not 1000',
  })
  expect(ids(await take(await receiver()))).toEqual(['a'])
})

test('verify lists what is missing or differs, and writes nothing', async () => {
  const { driver } = await bench()
  const { admin } = driver
  expect(await admin.verify(ORDERS, never)).toEqual([])
  expect(await admin.verify({ ...ORDERS, leaseMs: 5, role: 'dead-letter' }, never)).toEqual([
    { object: 'queue "orders"', field: 'role', expected: 'dead-letter', actual: 'work' },
    { object: 'queue "orders"', field: 'leaseMs', expected: '5', actual: '30000' },
  ])
  const missing = { ...ORDERS, name: 'new' }
  for (let i = 0; i < 2; i++)
    expect(await admin.verify(missing, never)).toEqual([
      { object: 'queue "new"', expected: 'exists', actual: 'missing' },
    ])
})

test('what the broker lacks is refused', async () => {
  const { driver } = await bench()
  const name = 'other'
  for (const spec of [{ ...ORDERS, name, dedupWindowMs: DAY_MS + 1 }])
    expect(await driver.admin.declare(spec, never).catch(code)).toBe('UNSUPPORTED')
  await driver.admin.declare({ ...ORDERS, name, dedupWindowMs: DAY_MS }, never)
})

test('a queue that is missing is NOT_FOUND for everything but declare, verify and delete', async () => {
  const { driver } = await bench()
  const spec = { ...ORDERS, name: 'missing' }
  const sender = await driver.openSender(spec, never)
  await expect(sender.send([outgoing('a')], never)).rejects.toMatchObject({
    code: 'NOT_FOUND',
    outcome: 'rejected',
  })
  expect(await openReceiver(driver, spec).catch(code)).toBe('NOT_FOUND')
  expect(await driver.admin.stats(spec, never).catch(code)).toBe('NOT_FOUND')
  expect(await driver.admin.purge(spec, never).catch(code)).toBe('NOT_FOUND')
  expect(await driver.admin.browse?.(spec, 1, undefined, never).catch(code)).toBe('NOT_FOUND')
  await driver.admin.delete(spec, never)
})

test('stats counts messages by state, the age of the oldest that is not delayed, and open receivers', async () => {
  const { clock, driver, sender, send, receiver } = await bench()
  const { admin } = driver
  expect(await admin.stats(ORDERS, never)).toEqual({
    ready: 0,
    inFlight: 0,
    delayed: 0,
    dead: undefined,
    oldestAgeMs: 0,
    consumers: 0,
  })
  const orders = await receiver()
  await sender.send([outgoing('delayed', 60_000), outgoing('sooner', 5_000)], never)
  await clock.advance(1_000)
  await send('a', 'b', 'c')
  await takeOne(orders)
  await clock.advance(2_500)
  expect(await admin.stats(ORDERS, never)).toMatchObject({
    ready: 2,
    inFlight: 1,
    delayed: 2,
    oldestAgeMs: 2_500,
    consumers: 1,
  })
  await clock.advance(1_500)
  await orders.stop()
  await orders.close()
  expect(await admin.stats(ORDERS, never)).toMatchObject({ ready: 4, inFlight: 0, delayed: 1, consumers: 0 })
})

test('browse pages through everything oldest first and takes nothing', async () => {
  const { driver, send, receiver } = await bench()
  const all = Array.from({ length: 600 }, (_, i) => `${i}`)
  await send(...all)
  const orders = await receiver()
  await take(orders, 10)
  for (const limit of [1, 7, 300, 600, 601]) expect(await browseAll(driver.admin, limit)).toEqual(all)
  expect(await driver.admin.stats(ORDERS, never)).toMatchObject({ ready: 590, inFlight: 10 })
})

test('a browse under way sees each message that stays exactly once, whatever comes and goes', async () => {
  const { driver, send, receiver } = await bench()
  const all = Array.from({ length: 100 }, (_, i) => `${i}`)
  await send(...all)
  const orders = await receiver()
  let late = 0
  const seen = await browseAll(driver.admin, 10, async () => {
    await settle(orders, await takeOne(orders), ack)
    if (late < 5) await send(`late ${late++}`)
  })
  expect(seen).toEqual([...all, 'late 0', 'late 1', 'late 2', 'late 3', 'late 4'])
})

test('a cursor that browse did not return is refused', async () => {
  const { driver } = await bench()
  expect(await driver.admin.browse?.(ORDERS, 1, '-1 or so', never).catch(code)).toBe('INVALID')
})

test('purge removes what is ready or delayed, tells how many, and leaves what is in flight', async () => {
  const { clock, driver, sender, send, receiver } = await bench()
  const orders = await receiver()
  await send('held', 'a', 'b')
  const held = await takeOne(orders)
  await sender.send([outgoing('delayed', 1_000)], never)
  expect(await driver.admin.purge(ORDERS, never)).toBe(3)
  await clock.advance(1_000)
  expect(await take(orders)).toEqual([])
  expect(await browseAll(driver.admin, 10)).toEqual(['held'])
  expect(await settle(orders, held, ack)).toBe('ok')
})

test('deleting a queue ends the receives on it, retryably, and its deliveries are lost', async () => {
  const { driver, send, receiver } = await bench()
  const orders = await receiver()
  await send('a')
  const a = await takeOne(orders)
  const waiting = expect(orders.receive(1, 60_000, never)).rejects.toMatchObject({
    code: 'NOT_FOUND',
    retryable: true,
  })
  await Promise.resolve()
  await driver.admin.delete(ORDERS, never)
  await driver.admin.delete(ORDERS, never)
  await waiting
  await driver.admin.declare(ORDERS, never)
  expect(await take(orders).catch(code)).toBe('NOT_FOUND')
  expect(await settle(orders, a, ack)).toBe('LEASE_LOST')
  await orders.close()
  expect(await take(await receiver())).toEqual([])
  expect(await driver.admin.verify(ORDERS_DLQ, never)).toEqual([])
})

test('a delayed message counts in the oldest age from when it is due, not from when it was sent', async () => {
  const { clock, driver, sender } = await bench()
  await sender.send([outgoing('a', 5_000)], never)
  await clock.advance(4_000)
  expect(await driver.admin.stats(ORDERS, never)).toMatchObject({ delayed: 1, oldestAgeMs: 0 })
  await clock.advance(4_000)
  expect(await driver.admin.stats(ORDERS, never)).toMatchObject({ ready: 1, oldestAgeMs: 3_000 })
})
