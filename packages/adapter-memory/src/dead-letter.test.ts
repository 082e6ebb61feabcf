import { expect, test } from 'vitest'
import {
  bench,
  ids,
  never,
  ORDERS,
  ORDERS_DLQ,
  outgoing,
  release,
  retry,
  settle,
  take,
  takeOne,
} from '../test-support.js'

test('a message handed over as often as the delivery limit says is dead-lettered by the broker itself', async () => {
  const { clock, sender, receiver } = await bench({}, { deliveryLimit: 3 })
  const orders = await receiver({ leaseMs: 1_000 })
  await sender.send([outgoing('poison', 0, { headers: { tenant: 'a' }, expiresAt: 1e15 })], never)
  for (let deliveries = 1; deliveries <= 3; deliveries++) {
    expect(await takeOne(orders)).toMatchObject({ deliveries })
    await clock.advance(1_000)
  }
  expect(await take(orders)).toEqual([])
  const [entry] = await take(await receiver({ spec: ORDERS_DLQ }))
  expect(entry).toMatchObject({
    message: { id: 'poison', headers: { tenant: 'a' }, expiresAt: undefined },
    deliveries: 1,
    nativeDeath: { reason: 'crash-loop', source: 'orders', at: clock.now() },
  })
})

test('without its dead-letter queue a message over the limit goes round again and is not lost', async () => {
  const { clock, driver, send, receiver } = await bench({}, { deliveryLimit: 1 })
  await driver.admin.delete(ORDERS_DLQ, never)
  const orders = await receiver({ leaseMs: 1_000 })
  await send('poison')
  await takeOne(orders)
  await clock.advance(1_000)
  expect(await takeOne(orders)).toMatchObject({ deliveries: 2 })
})

test('releases do not bring a message nearer to the limit', async () => {
  const { send, receiver } = await bench({}, { deliveryLimit: 2 })
  const orders = await receiver()
  await send('a')
  for (let i = 0; i < 5; i++) expect(await settle(orders, await takeOne(orders), release)).toBe('ok')
  expect(await takeOne(orders)).toMatchObject({ message: { id: 'a' }, deliveries: 1 })
})

test('hand-overs of earlier copies count towards the limit', async () => {
  const { clock, send, receiver } = await bench({}, { deliveryLimit: 3 })
  const orders = await receiver({ leaseMs: 1_000 })
  await send('a')
  await settle(orders, await takeOne(orders), retry(0, { 'msgloop-deliveries': '2' }))
  expect(await takeOne(orders)).toMatchObject({ deliveries: 3 })
  await clock.advance(1_000)
  expect(ids(await take(await receiver({ spec: ORDERS_DLQ })))).toEqual(['a'])
})

test('a dead letter is gone once it was kept for its retention, and not before', async () => {
  const { clock, driver } = await bench()
  const kept = { ...ORDERS_DLQ, name: 'kept', retentionMs: 10_000 }
  await driver.admin.declare(kept, never)
  await (await driver.openSender(kept, never)).send([outgoing('a'), outgoing('later', 5_000)], never)
  await clock.advance(9_999)
  expect(await driver.admin.stats(kept, never)).toMatchObject({ ready: 2 })
  await clock.advance(1)
  expect(await driver.admin.stats(kept, never)).toMatchObject({ ready: 1 })
  await clock.advance(5_000)
  expect(await driver.admin.stats(kept, never)).toMatchObject({ ready: 0 })
  expect((await driver.admin.browse?.(kept, 10, undefined, never))?.entries).toEqual([])
})

test('an id sent again within the dedup window is stored once, also after it was acked', async () => {
  const { clock, sender, receiver } = await bench({}, { dedupWindowMs: 5_000 })
  const orders = await receiver()
  const sendTwice = (): Promise<unknown> => sender.send([outgoing('a'), outgoing('a')], never)
  expect(await sendTwice()).toEqual([])
  await settle(orders, await takeOne(orders), { kind: 'ack' })
  await clock.advance(4_999)
  await sendTwice()
  expect(await take(orders)).toEqual([])
  await clock.advance(1)
  await sendTwice()
  expect(ids(await take(orders))).toEqual(['a'])
})

test('retries and replays are never taken for duplicates', async () => {
  const { send, receiver } = await bench({}, { dedupWindowMs: 5_000 })
  const orders = await receiver()
  await send('a')
  await settle(orders, await takeOne(orders), retry())
  await settle(orders, await takeOne(orders), { kind: 'move', to: 'orders.dlq', headers: {} })
  const dead = await receiver({ spec: ORDERS_DLQ })
  await settle(dead, await takeOne(dead), { kind: 'move', to: ORDERS.name, headers: {} })
  expect(ids(await take(orders))).toEqual(['a'])
})
