import { expect, test } from 'vitest'
import {
  ack,
  bench,
  code,
  ids,
  never,
  outgoing,
  release,
  retry,
  settle,
  take,
  takeOne,
} from '../test-support.js'

test('a waiting receive ends as soon as one message is there', async () => {
  const { send, receiver } = await bench()
  const received = (await receiver()).receive(10, 60_000, never)
  await send('a')
  expect(ids(await received)).toEqual(['a'])
})

test('a waiting receive gets a batch as a whole', async () => {
  const { send, receiver } = await bench()
  const received = (await receiver()).receive(10, 60_000, never)
  await send('a', 'b', 'c')
  expect(ids(await received)).toEqual(['a', 'b', 'c'])
})

test('a receive that finds nothing ends after its wait with none', async () => {
  const { clock, receiver } = await bench()
  const startedAt = clock.now()
  const received = (await receiver()).receive(10, 5_000, never).then((all) => [all, clock.now() - startedAt])
  await clock.advance(60_000)
  expect(await received).toEqual([[], 5_000])
})

test('aborting a receive ends the wait with none and takes no message', async () => {
  const { send, receiver } = await bench()
  const orders = await receiver()
  const stop = new AbortController()
  const received = orders.receive(10, 60_000, stop.signal)
  await Promise.resolve()
  stop.abort()
  await send('a')
  expect(await received).toEqual([])
  expect(await orders.receive(10, 60_000, stop.signal)).toEqual([])
  expect(await takeOne(orders)).toMatchObject({ message: { id: 'a' }, deliveries: 1 })
})

test('who waits longest is served first', async () => {
  const { send, receiver } = await bench()
  const receivers = [await receiver(), await receiver(), await receiver()]
  const served: string[] = []
  const waits = receivers.map(async (each, i) =>
    served.push(`${i}: ${ids(await each.receive(1, 60_000, never))}`),
  )
  for (const id of ['a', 'b', 'c']) await send(id)
  await Promise.all(waits)
  expect(served).toEqual(['0: a', '1: b', '2: c'])
})

test('who asks without waiting does not take what is due to one who waits', async () => {
  const { sender, receiver } = await bench()
  const [patient, hasty] = [await receiver(), await receiver()]
  const waited = patient.receive(1, 60_000, never)
  await Promise.resolve()
  const sent = sender.send([outgoing('a')], never)
  const asked = hasty.receive(1, 0, never)
  await sent
  expect([ids(await waited), ids(await asked)]).toEqual([['a'], []])
})

test('messages are served in the order they became ready', async () => {
  const { clock, sender, send, receiver } = await bench()
  const [orders, crashed] = [await receiver(), await receiver({ leaseMs: 1_000 })]
  await send('leased')
  await take(crashed)
  await sender.send([outgoing('delayed', 500)], never)
  await clock.advance(700)
  await send('sent')
  await clock.advance(400)
  expect(ids(await take(orders))).toEqual(['delayed', 'sent', 'leased'])
})

test('what is released, or held when its receiver closes, goes back to its place: looking by taking changes no order', async () => {
  const { send, receiver } = await bench()
  const orders = await receiver()
  await send('a', 'b', 'c', 'd')
  const [a, b, c] = await take(orders, 3)
  if (!a || !b || !c) throw new Error('expected three messages')
  await send('e')
  for (const delivery of [b, c, a]) await settle(orders, delivery, release)
  expect(ids(await take(orders))).toEqual(['a', 'b', 'c', 'd', 'e'])
  await send('f')
  await orders.close()
  expect(ids(await take(await receiver()))).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
})

test('a receiver never holds more than its prefetch, and goes on when it settles', async () => {
  const { send, receiver } = await bench()
  const orders = await receiver({ prefetch: 2 })
  await send('a', 'b', 'c', 'd')
  const [a, b] = await take(orders, 10)
  if (!a || !b) throw new Error('expected two messages')
  expect(await take(orders, 10)).toEqual([])
  const waiting = orders.receive(10, 60_000, never)
  const other = await takeOne(await receiver())
  expect(other.message.id).toBe('c')
  expect(await settle(orders, a, ack)).toBe('ok')
  expect(ids(await waiting)).toEqual(['d'])
})

test('a receiver that holds all it may does not hold up those who wait behind it', async () => {
  const { send, receiver } = await bench()
  const [full, free] = [await receiver({ prefetch: 1 }), await receiver()]
  await send('a')
  await takeOne(full)
  const waiting = [full.receive(1, 60_000, never), free.receive(1, 60_000, never)]
  await send('b')
  expect(ids((await waiting[1]) ?? [])).toEqual(['b'])
  await full.stop()
  expect(await waiting[0]).toEqual([])
})

test('a receive that is waiting takes up a retry of its own receiver', async () => {
  const { send, receiver } = await bench()
  const orders = await receiver()
  await send('a')
  const a = await takeOne(orders)
  const waiting = orders.receive(1, 60_000, never)
  await settle(orders, a, retry())
  expect(ids(await waiting)).toEqual(['a'])
})

test('stopping ends the wait with none, and receives no more', async () => {
  const { send, receiver } = await bench()
  const orders = await receiver()
  const waiting = orders.receive(1, 60_000, never)
  await orders.stop()
  await orders.stop()
  await send('a')
  expect(await waiting).toEqual([])
  expect(await take(orders).catch(code)).toBe('CLOSED')
  expect(ids(await take(await receiver()))).toEqual(['a'])
})

test('messages sent before any receiver existed are received', async () => {
  const { send, receiver } = await bench()
  await send('a')
  expect(ids(await take(await receiver()))).toEqual(['a'])
})

test('a busy loop of sends and receives lets the event loop turn', async () => {
  const { send, receiver } = await bench()
  const orders = await receiver()
  let turns = 0
  let timer = setImmediate(function count() {
    turns++
    timer = setImmediate(count)
  })
  for (let i = 0; i < 2_000; i++) {
    await send(`${i}`)
    await settle(orders, await takeOne(orders), ack)
  }
  clearImmediate(timer)
  expect(turns).toBeGreaterThan(10)
})
