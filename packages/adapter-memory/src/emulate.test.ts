import type { Limits, Outgoing, Sender } from '@msgloop/core/driver'
import { describe, expect, test } from 'vitest'
import {
  ack,
  bench,
  code,
  ids,
  never,
  ORDERS,
  openReceiver,
  outgoing,
  release,
  retry,
  settle,
  take,
  takeOne,
} from '../test-support.js'
import { UNLIMITED } from './capabilities.js'
import type { Emulated } from './emulate.js'

const BROKERS: readonly (Emulated | undefined)[] = [undefined, 'rabbitmq', 'sqs', 'nats', 'redis-streams']

async function outcome(sender: Sender, batch: readonly Outgoing[]): Promise<string> {
  try {
    const [failure] = await sender.send(batch, never)
    return failure ? code(failure.error) : 'ok'
  } catch (error) {
    return code(error)
  }
}

const headers = (count: number): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`h${i}`, '']))

/** Per limit, a batch that is exactly as large. */
const AT: { readonly [K in keyof Limits]?: (size: number, limits: Limits) => Outgoing[] } = {
  bodyBytes: (size) => [outgoing('a', 0, { body: Buffer.alloc(size) })],
  headerCount: (size) => [
    outgoing('a', 0, { headers: { ...headers(size), 'msgloop-history': 'does not count' } }),
  ],
  headerBytes: (size) => [
    outgoing('a', 0, { headers: { ä: 'x'.repeat(size - 2), 'msgloop-dead': 'nor this' } }),
  ],
  sendBatch: (size) => Array.from({ length: size }, (_, i) => outgoing(`${i}`, 0, { body: Buffer.alloc(0) })),
  sendBatchBytes: (size, { bodyBytes }) =>
    Array.from({ length: Math.ceil(size / bodyBytes) }, (_, i) =>
      outgoing(`${i}`, 0, { body: Buffer.alloc(Math.min(bodyBytes, size - i * bodyBytes)) }),
    ),
}

describe.each(BROKERS)('emulate: %s', (emulate) => {
  const open = (): ReturnType<typeof bench> => bench({ emulate })

  test('the capabilities are frozen all through', async () => {
    const { driver } = await open()
    const { capabilities } = driver
    for (const each of [capabilities, capabilities.limits, capabilities.stats])
      expect(Object.isFrozen(each)).toBe(true)
  })

  test.each(Object.entries(AT))('%s is taken at the limit and refused one above', async (name, batchOf) => {
    const { driver, sender } = await open()
    const { limits } = driver.capabilities
    const limit = Object.entries(limits).find(([each]) => each === name)?.[1] ?? Number.NaN
    expect(await outcome(sender, batchOf(limit, limits))).toBe('ok')
    expect(await outcome(sender, batchOf(limit + 1, limits))).toBe('TOO_LARGE')
  })

  test('delays up to the limit, in steps of the resolution, are taken and no others', async () => {
    const { driver, sender, send, receiver } = await open()
    const { delayMs, delayResolutionMs: step } = driver.capabilities.limits
    for (const [ms, expected] of [
      [step, 'ok'],
      [delayMs, 'ok'],
      [step / 2, 'INVALID'],
      [delayMs + step, 'INVALID'],
    ] as const) {
      expect(await outcome(sender, [outgoing('a', ms)])).toBe(expected)
      await send('b')
      const orders = await receiver()
      expect(await settle(orders, await takeOne(orders), retry(ms))).toBe(expected)
      await driver.admin.purge(ORDERS, never)
    }
  })

  test('a receive hands over at most receiveBatch, and a batch of settlements over settleBatch is refused', async () => {
    const { driver, sender, receiver } = await open()
    const { receiveBatch, settleBatch } = driver.capabilities.limits
    for (let i = 0; i <= Math.max(receiveBatch, settleBatch); i++)
      await sender.send([outgoing(`${i}`)], never)
    const orders = await receiver({ prefetch: UNLIMITED })
    const most = await take(orders, UNLIMITED)
    expect(most.length).toBe(receiveBatch)
    const all = [...most, ...(await take(orders))]
    while (all.length <= settleBatch) all.push(...(await take(orders)))
    const batch = (size: number) => all.slice(0, size).map(({ token }) => ({ token, verdict: ack }))
    expect(await orders.settle(batch(settleBatch + 1)).catch(code)).toBe('TOO_LARGE')
    expect(await orders.settle(batch(settleBatch))).toEqual([])
  })

  test('a dedup window up to the limit is taken and a longer one refused', async () => {
    const { driver } = await open()
    const { dedupWindowMs } = driver.capabilities
    await driver.admin.declare({ ...ORDERS, name: 'at', dedupWindowMs }, never)
    const above = { ...ORDERS, name: 'above', dedupWindowMs: dedupWindowMs + 1 }
    expect(await driver.admin.declare(above, never).catch(code)).toBe('UNSUPPORTED')
  })

  test('stats tells the declared fields and no others', async () => {
    const { driver } = await open()
    const stats = Object.entries(await driver.admin.stats(ORDERS, never))
    const told = stats.filter(([, value]) => value !== undefined).map(([field]) => field)
    expect(told.sort()).toEqual([...driver.capabilities.stats].sort())
  })

  test('browse and extend are there exactly where the capabilities say so', async () => {
    const { driver, receiver } = await open()
    const { browse, lease } = driver.capabilities
    expect('browse' in driver.admin).toBe(browse === 'free')
    expect('extend' in (await receiver())).toBe(lease === 'renewable')
  })

  test('a release costs no attempt, and raises the count of deliveries exactly where the capabilities say so', async () => {
    const { driver, send, receiver } = await open()
    const orders = await receiver()
    await send('a')
    await settle(orders, await takeOne(orders), release)
    const again = await takeOne(orders)
    expect(again.deliveries).toBe(driver.capabilities.releaseCounts ? 2 : 1)
    expect(again.attempt).toBe(driver.capabilities.retry === 'copy' ? undefined : 1)
  })

  test('a retry is a copy with the headers given, or the same message with its attempt counted', async () => {
    const { driver, send, receiver } = await open()
    const orders = await receiver()
    await send('a')
    await settle(orders, await takeOne(orders), retry(0, { 'msgloop-deliveries': '1' }))
    const again = await takeOne(orders)
    const copied = driver.capabilities.retry === 'copy'
    expect(again.deliveries).toBe(2)
    expect(again.attempt).toBe(copied ? undefined : 2)
    expect(again.message.headers).toEqual(copied ? { 'msgloop-deliveries': '1' } : {})
  })
})

test('a lease of RabbitMQ lasts as long as its receiver, up to the consumer timeout', async () => {
  const { clock, driver, send, receiver } = await bench({ emulate: 'rabbitmq' })
  const { leaseMs } = driver.capabilities.limits
  const losses: unknown[] = []
  const slow = await receiver({ leaseMs: 1_000, onLost: (error) => losses.push(error) })
  await send('a', 'b')
  const a = await takeOne(slow)
  await clock.advance(1_000)
  await takeOne(slow)
  await clock.advance(leaseMs - 1_001)
  expect([losses, await take(await receiver())]).toEqual([[], []])
  await clock.advance(1)
  expect(losses.map(code)).toEqual(['CONNECTION_LOST'])
  expect(await settle(slow, a, ack)).toBe('LEASE_LOST')
  expect(await take(slow).catch(code)).toBe('CONNECTION_LOST')
  expect(ids(await take(await receiver()))).toEqual(['a', 'b'])
})

test('a lease of SQS is in whole seconds, and ends 12 hours after the receive for all renewals', async () => {
  const { clock, driver, send, receiver } = await bench({ emulate: 'sqs' })
  const { leaseMs } = driver.capabilities.limits
  const orders = await receiver({ leaseMs: 1_500 })
  await send('a')
  const { token } = await takeOne(orders)
  await clock.advance(1_999)
  expect(await orders.extend?.([token], leaseMs - 2_000)).toEqual([])
  await clock.advance(1)
  expect(await orders.extend?.([token], leaseMs - 2_000)).toEqual([])
  const [failure] = (await orders.extend?.([token], leaseMs - 1_999)) ?? []
  expect(code(failure?.error)).toBe('INVALID')
  expect(await openReceiver(driver, ORDERS, { leaseMs: leaseMs + 1 }).catch(code)).toBe('INVALID')
})
