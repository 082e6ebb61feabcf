import type { QueueSpec, SubscriptionSpec } from '@msgloop/core/driver'
import { describe, expect, test } from 'vitest'
import { allKeys, keysOf, namesakes, routesKeyOf } from './keys.js'
import { asQueue, bindingDrifts, driftError, driftsOf, settingsOf } from './topology.js'

const orders: QueueSpec = {
  kind: 'queue',
  name: 'orders',
  role: 'work',
  deadLetter: 'orders.dlq',
  deliveryLimit: 400,
  leaseMs: 30_000,
  dedupWindowMs: 0,
  order: 'none',
}

const tagOf = (queue: string): string => keysOf('p', queue).tag

describe('keys', () => {
  test('of a queue and its dead letters share a hash tag, those of others do not', () => {
    expect(tagOf('orders')).toBe('orders')
    expect(tagOf('orders.dlq')).toBe('orders')
    expect(tagOf('orders.dlq.dlq')).toBe('orders')
    expect(tagOf('orders.dlqs')).toBe('orders.dlqs')
    expect(tagOf('.dlq')).toBe('.dlq')
  })

  test('all hold the tag once, first, and no two queues share one', () => {
    const queues = ['orders', 'orders.dlq', 'orders.dlq.x', 'a.b_c-d']
    const all = queues.flatMap((queue) => allKeys(keysOf('p', queue)))
    expect(new Set(all).size).toBe(queues.length * 8)
    for (const queue of queues)
      for (const key of allKeys(keysOf('p', queue)))
        expect(/\{([^}]*)\}/.exec(key)?.[1], key).toBe(tagOf(queue))
  })

  test('of the stream are what the README tells raw clients', () => {
    expect(keysOf('msgloop', 'orders').stream).toBe('msgloop:{orders}:orders')
    expect(keysOf('msgloop', 'orders.dlq').stream).toBe('msgloop:{orders}:orders.dlq')
  })
})

describe('settings', () => {
  test('differ in nothing from themselves', () => {
    for (const spec of [orders, { ...orders, role: 'dead-letter', retentionMs: 5 } as const])
      expect(driftsOf(spec, settingsOf(spec))).toEqual([])
  })

  test('do not hold the lease, nor what the driver keeps beside them', () => {
    expect(driftsOf({ ...orders, leaseMs: 1 }, [...settingsOf(orders), 'sent', '12'])).toEqual([])
  })

  test('that differ are listed field by field', () => {
    const { deadLetter: _, deliveryLimit: __, ...bare } = orders
    const drifts = driftsOf({ ...bare, role: 'dead-letter', retentionMs: 9 }, settingsOf(orders))
    expect(drifts).toEqual([
      { object: 'queue "orders"', field: 'role', expected: 'dead-letter', actual: 'work' },
      { object: 'queue "orders"', field: 'deadLetter', expected: 'none', actual: 'orders.dlq' },
      { object: 'queue "orders"', field: 'deliveryLimit', expected: 'none', actual: '400' },
      { object: 'queue "orders"', field: 'retentionMs', expected: '9', actual: 'none' },
    ])
    const error = driftError(orders, drifts)
    expect(error).toMatchObject({ code: 'DRIFT', outcome: 'rejected' })
    expect(error.message).toContain('"orders"')
    expect(error.message).toContain('role is work, wanted dead-letter')
  })

  test('that are not there are a queue that is missing', () => {
    expect(driftsOf(orders, [])).toEqual([
      { object: 'queue "orders"', expected: 'a queue', actual: 'missing' },
    ])
  })

  test('are refused for what there is no capability for', () => {
    for (const topology of [{ kind: 'topic', name: 't' } as const, { ...orders, dedupWindowMs: 86_400_001 }])
      expect(() => asQueue(topology)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }))
    expect(asQueue({ ...orders, dedupWindowMs: 86_400_000 }).name).toBe('orders')
  })
})

describe('a subscription', () => {
  const { kind: _, ...queue } = orders
  const billing: SubscriptionSpec = {
    ...queue,
    kind: 'subscription',
    name: 'shop.eu.billing',
    topic: 'shop.eu',
    patterns: ['order.#', 'refund.*'],
  }

  test('has the tag of its topic, as the README tells raw clients', () => {
    expect(keysOf('msgloop', 'shop.eu.billing', 'shop.eu').stream).toBe('msgloop:{shop.eu}:shop.eu.billing')
    expect(routesKeyOf('msgloop', 'shop.eu')).toBe('msgloop:{shop.eu}:shop.eu:routes')
  })

  test('has namesakes: the queue, and subscriptions of other topics it may begin with', () => {
    const tags = (topic?: string): readonly string[] =>
      namesakes('p', 'shop.eu.billing', topic).map(({ tag }) => tag)
    expect(tags('shop.eu')).toEqual(['shop.eu.billing', 'shop'])
    expect(tags()).toEqual(['shop', 'shop.eu'])
    expect(namesakes('p', 'orders')).toEqual([])
    expect(namesakes('p', 'orders.dlq')).toEqual([])
  })

  test('differs by topic and patterns, and from a queue', () => {
    expect(driftsOf(billing, settingsOf(billing))).toEqual([])
    const object = 'subscription "shop.eu.billing"'
    expect(driftsOf({ ...billing, patterns: ['#'] }, settingsOf(billing))).toEqual([
      { object, field: 'patterns', expected: '#', actual: 'order.# refund.*' },
    ])
    expect(driftsOf({ ...billing, topic: 'shop' }, settingsOf(billing))).toEqual([
      { object, field: 'topic', expected: 'shop', actual: 'shop.eu' },
    ])
    expect(driftsOf(billing, settingsOf(orders)).map(({ field }) => field)).toEqual(['topic', 'patterns'])
  })

  test('is bound by exactly its patterns', () => {
    const object = 'binding of subscription "shop.eu.billing"'
    expect(bindingDrifts(billing, 'order.# refund.*')).toEqual([])
    expect(bindingDrifts(billing, '#')).toMatchObject([{ object, field: 'patterns', actual: '#' }])
    expect(bindingDrifts(billing, undefined)).toMatchObject([{ object, actual: 'missing' }])
  })
})
