import { expect, test } from 'vitest'
import {
  ack,
  bench,
  DAY_MS,
  ids,
  MINUTE_MS,
  never,
  outgoing,
  retry,
  settle,
  take,
  takeOne,
  YEAR_MS,
} from '../test-support.js'

test.each([
  ['100 ms', 100],
  ['15 minutes', 15 * MINUTE_MS],
  ['1 year', YEAR_MS],
])('a message delayed by %s arrives at that millisecond and not before', async (_, delayMs) => {
  const { clock, sender, receiver } = await bench()
  const orders = await receiver()
  await sender.send([outgoing('later', delayMs)], never)
  await clock.advance(delayMs - 1)
  expect(await take(orders)).toEqual([])
  await clock.advance(1)
  expect(ids(await take(orders))).toEqual(['later'])
})

test('a waiting receive is woken at the moment a delay ends', async () => {
  const { clock, sender, receiver } = await bench()
  const orders = await receiver()
  const sentAt = clock.now()
  await sender.send([outgoing('later', 15 * MINUTE_MS)], never)
  const received = orders.receive(1, DAY_MS, never).then((deliveries) => [ids(deliveries), clock.now()])
  await clock.advance(DAY_MS)
  expect(await received).toEqual([['later'], sentAt + 15 * MINUTE_MS])
})

test('mixed delays arrive in due order, equal ones in the order of sending', async () => {
  const { clock, sender, receiver } = await bench()
  const orders = await receiver()
  const delays = Array.from({ length: 1_000 }, (_, i) => ((i * 7_919) % 500) + 1)
  await sender.send(
    delays.map((delayMs, i) => outgoing(`${i}`, delayMs)),
    never,
  )
  await clock.advance(500)
  const expected = delays
    .map((delayMs, i) => ({ delayMs, i }))
    .sort((a, b) => a.delayMs - b.delayMs || a.i - b.i)
    .map(({ i }) => `${i}`)
  expect(ids(await take(orders))).toEqual(expected)
})

test('a message that waits for its retry holds up no other', async () => {
  const { clock, send, receiver } = await bench()
  const orders = await receiver()
  await send('failing', 'next')
  await settle(orders, await takeOne(orders), retry(MINUTE_MS))
  const next = await takeOne(orders)
  expect(next.message.id).toBe('next')
  await settle(orders, next, ack)
  await clock.advance(MINUTE_MS - 1)
  expect(await take(orders)).toEqual([])
  await clock.advance(1)
  expect(ids(await take(orders))).toEqual(['failing'])
})

test('a pending retry survives its consumer and its connection', async () => {
  const { clock, driver, send, receiver } = await bench()
  const first = await receiver()
  await send('failing')
  await settle(first, await takeOne(first), retry(MINUTE_MS))
  await first.close()
  await clock.advance(MINUTE_MS)
  expect(ids(await take(await receiver()))).toEqual(['failing'])
  await driver.close()
})

test('a delay that is negative, too long or between two steps is refused', async () => {
  const { sender } = await bench({ emulate: 'sqs' })
  const failures = await sender.send(
    [
      outgoing('a', -1_000),
      outgoing('b', YEAR_MS + 2 * DAY_MS),
      outgoing('c', 1_500),
      outgoing('d', YEAR_MS),
    ],
    never,
  )
  expect(failures.map(({ index, error }) => [index, error])).toMatchObject([
    [0, { code: 'INVALID', outcome: 'rejected' }],
    [1, { code: 'INVALID', outcome: 'rejected' }],
    [2, { code: 'INVALID', outcome: 'rejected' }],
  ])
})
