import type { SubscriptionSpec } from '@msgloop/core/driver'
import { expect, test } from 'vitest'
import { partitionHeader, queueFor, queuesOf } from './partitions.js'
import { objectsOf } from './topology.js'

const billing: SubscriptionSpec = {
  kind: 'subscription',
  topic: 'events',
  name: 'events.billing',
  patterns: ['#'],
  role: 'work',
  deadLetter: 'events.billing.dlq',
  leaseMs: 30_000,
  dedupWindowMs: 0,
  order: 'key',
}

test('a queue without order is one queue of the broker, one with order by key is sixteen', () => {
  expect(queuesOf({ name: 'orders', order: 'none' })).toEqual(['orders'])
  expect(queuesOf({ name: 'orders', order: 'key' })).toEqual(
    Array.from({ length: 16 }, (_, at) => `orders.p${at}`),
  )
})

test('the partition of a message is that of its key, or for want of one of its id', () => {
  expect(queueFor('orders', { id: 'x', key: 'customer-7' })).toBe('orders.p3')
  expect(queueFor('orders', { id: 'customer-7' })).toBe('orders.p3')
  expect(partitionHeader({ id: 'x', key: 'größe', body: Buffer.from(''), headers: {}, timestamp: 0 })).toBe(
    '12',
  )
})

test('each partition has a single active consumer, and dead letters in one queue for all', () => {
  const queues = objectsOf(billing).slice(0, 16)
  for (const { label, settings } of queues) {
    expect(label).toMatch(/^queue "events\.billing\.p\d+"$/)
    expect(settings).toMatchObject({
      'x-single-active-consumer': true,
      'x-dead-letter-routing-key': 'events.billing.dlq',
    })
  }
})

test('a subscription with order routes what has no partition to one of them, and forgets nothing', () => {
  const exchanges = objectsOf(billing).slice(16)
  expect(exchanges.map(({ settings }) => settings.type)).toEqual(['fanout', 'headers', 'fanout'])
  expect(exchanges[1]?.settings['alternate-exchange']).toBe('msgloop.v1.unpartitioned-events.billing')
})
