import type { SubscriptionSpec, TopicSpec } from '@msgloop/core/driver'
import { expect, test } from 'vitest'
import { bench, code, never, ORDERS, ORDERS_DLQ, openReceiver, outgoing, take } from '../test-support.js'
import { memory } from './memory.js'

const NEWS: TopicSpec = { kind: 'topic', name: 'news' }
const LOCAL: SubscriptionSpec = {
  ...ORDERS,
  kind: 'subscription',
  name: 'news.local',
  topic: 'news',
  patterns: ['local.#'],
}

async function published(driver: ReturnType<typeof memory>, ...ids: string[]): Promise<void> {
  const sender = await driver.openSender(NEWS, never)
  const batch = ids.map((id) => outgoing(id, 0, { subject: 'local.sport' }))
  expect(await sender.send(batch, never)).toEqual([])
  await sender.close()
}

test('a subscription needs its topic, and a sender too', async () => {
  const { driver } = await bench()
  expect(await driver.admin.declare(LOCAL, never).catch(code)).toBe('NOT_FOUND')
  const sender = await driver.openSender(NEWS, never)
  expect(await sender.send([outgoing('a')], never).catch(code)).toBe('NOT_FOUND')
  await driver.admin.declare(NEWS, never)
  expect(await sender.send([outgoing('a')], never)).toEqual([])
})

test('each difference of a subscription is drift: patterns, topic, and being a queue', async () => {
  const { driver } = await bench()
  await driver.admin.declare(NEWS, never)
  await driver.admin.declare({ ...NEWS, name: 'old' }, never)
  await driver.admin.declare(LOCAL, never)
  const { topic: _, patterns: __, ...queue } = LOCAL
  for (const other of [
    { ...LOCAL, patterns: ['#'] },
    { ...LOCAL, topic: 'old' },
    { ...queue, kind: 'queue' as const },
  ])
    expect(await driver.admin.declare(other, never).catch(code)).toBe('DRIFT')
  expect(await driver.admin.verify({ ...LOCAL, patterns: ['#', 'a'] }, never)).toEqual([
    { object: 'queue "news.local"', field: 'patterns', expected: '#, a', actual: 'local.#' },
  ])
})

test('a subscription outlives its topic, gets nothing without it, and is bound again when declared again', async () => {
  const { driver } = await bench()
  await driver.admin.declare(NEWS, never)
  await driver.admin.declare(LOCAL, never)
  await published(driver, 'a')
  await driver.admin.delete(NEWS, never)
  expect(await driver.admin.verify(NEWS, never)).toHaveLength(1)
  await driver.admin.declare(NEWS, never)
  await published(driver, 'b')
  expect(await driver.admin.verify(LOCAL, never)).toEqual([
    { object: 'binding of queue "news.local" to topic "news"', expected: 'exists', actual: 'missing' },
  ])
  await driver.admin.declare(LOCAL, never)
  await published(driver, 'c')
  const receiver = await openReceiver(driver, LOCAL)
  expect((await take(receiver)).map(({ message }) => message.id)).toEqual(['a', 'c'])
})

test('a broker with a subscription is kept while nobody is connected: it is to receive what comes', async () => {
  const first = memory({ name: 'kept-for-subscription' })
  for (const spec of [ORDERS_DLQ, NEWS, LOCAL]) await first.admin.declare(spec, never)
  await first.close()
  const second = memory({ name: 'kept-for-subscription' })
  await published(second, 'a')
  const receiver = await openReceiver(second, LOCAL)
  expect(await take(receiver)).toHaveLength(1)
  await receiver.close()
  await second.admin.delete(LOCAL, never)
  await second.close()
  const third = memory({ name: 'kept-for-subscription' })
  expect(await third.admin.verify(NEWS, never)).toHaveLength(1)
  await third.close()
})
