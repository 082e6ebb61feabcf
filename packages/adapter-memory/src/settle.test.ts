import { BOOK_HEADERS } from '@msgloop/core/driver'
import { expect, test } from 'vitest'
import {
  ack,
  bench,
  ids,
  MINUTE_MS,
  move,
  never,
  ORDERS_DLQ,
  outgoing,
  retry,
  settle,
  take,
  takeOne,
} from '../test-support.js'

const FIELDS = {
  body: Buffer.of(0, 255, 128),
  headers: { tenant: 'ä', 'msgloop-history': 'old', 'msgloop-attempt': '2' },
  timestamp: 77,
  contentType: 'application/x',
  type: 't',
  schemaVersion: '3',
  correlationId: 'c',
  causationId: 'd',
  key: 'k',
  lane: 'normal',
  traceparent: '00-1-2-01',
  tracestate: 's=1',
  expiresAt: 1e15,
} as const

test('a retry is a copy with everything of the original but the bookkeeping, which is replaced', async () => {
  const { sender, receiver } = await bench()
  const orders = await receiver()
  await sender.send([outgoing('a', 0, FIELDS)], never)
  await settle(orders, await takeOne(orders), retry(0, { [BOOK_HEADERS.attempt]: '3' }))
  const { message } = await takeOne(orders)
  expect(message).toEqual({ ...FIELDS, id: 'a', headers: { tenant: 'ä', 'msgloop-attempt': '3' } })
})

test('a copy counts its deliveries on from those of earlier copies', async () => {
  const { clock, send, receiver } = await bench()
  const orders = await receiver({ leaseMs: 1_000 })
  await send('a')
  await settle(orders, await takeOne(orders), retry(0, { [BOOK_HEADERS.deliveries]: '1' }))
  expect(await takeOne(orders)).toMatchObject({ deliveries: 2 })
  await clock.advance(1_000)
  expect(await takeOne(orders)).toMatchObject({ deliveries: 3 })
})

test('a moved message keeps its id, bytes, user headers and fields, and loses its expiry', async () => {
  const { driver, spec, sender, receiver } = await bench()
  const orders = await receiver()
  await sender.send([outgoing('a', 0, FIELDS)], never)
  expect(await settle(orders, await takeOne(orders), move('orders.dlq', { [BOOK_HEADERS.dead]: '{}' }))).toBe(
    'ok',
  )
  const entry = await takeOne(await receiver({ spec: ORDERS_DLQ }))
  expect(entry.message).toEqual({
    ...FIELDS,
    id: 'a',
    headers: { tenant: 'ä', 'msgloop-dead': '{}' },
    expiresAt: undefined,
  })
  expect(entry.deliveries).toBe(1)
  expect(await driver.admin.stats(spec, never)).toMatchObject({ ready: 0, inFlight: 0, delayed: 0 })
})

test('moving to a queue that is missing fails with NOT_FOUND and leaves the original as it was', async () => {
  const { send, receiver } = await bench()
  const orders = await receiver()
  await send('a')
  const a = await takeOne(orders)
  expect(await settle(orders, a, move('nowhere'))).toBe('NOT_FOUND')
  expect(await take(orders)).toEqual([])
  expect(await settle(orders, a, move('orders.dlq'))).toBe('ok')
})

test('one bad verdict does not fail its neighbours', async () => {
  const { send, receiver } = await bench()
  const orders = await receiver()
  await send('a', 'b', 'c')
  const verdicts = [ack, move('nowhere'), retry(MINUTE_MS)]
  const batch = (await take(orders)).map(({ token }, i) => ({ token, verdict: verdicts[i] ?? ack }))
  const failures = await orders.settle(batch)
  expect(failures).toMatchObject([{ index: 1, error: { code: 'NOT_FOUND' } }])
  await orders.close()
  expect(ids(await take(await receiver()))).toEqual(['b'])
})

test('neither the sender nor a handler can change a stored message', async () => {
  const { clock, sender, receiver } = await bench()
  const orders = await receiver({ leaseMs: 1_000 })
  const body = Buffer.from('original')
  const headers: Record<string, string> = { tenant: 'a' }
  await sender.send([outgoing('a', 0, { body, headers })], never)
  body.fill(0)
  headers.tenant = 'changed'
  const { message } = await takeOne(orders)
  expect(Buffer.from(message.body).toString()).toBe('original')
  message.body.fill(0)
  expect(() => Object.assign(message.headers, { tenant: 'changed' })).toThrow(TypeError)
  await clock.advance(1_000)
  const again = await takeOne(orders)
  expect([Buffer.from(again.message.body).toString(), again.message.headers.tenant]).toEqual([
    'original',
    'a',
  ])
})
