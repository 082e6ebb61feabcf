import type { QueueSpec, SubscriptionSpec } from '@msgloop/core/driver'
import { describe, expect, test } from 'vitest'
import { driftOf, inequivalence } from './objects.js'
import { queueSettings } from './settings.js'
import { checked, objectsOf } from './topology.js'

const orders: QueueSpec = {
  kind: 'queue',
  name: 'orders',
  role: 'work',
  deadLetter: 'orders.dlq',
  deliveryLimit: 100,
  leaseMs: 30_000,
  dedupWindowMs: 0,
  order: 'none',
}

describe('settings', () => {
  test('dead-letter at least once, which needs all four together', () => {
    expect(queueSettings(orders)).toMatchObject({
      'x-queue-type': 'quorum',
      'x-delivery-limit': 100,
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': 'orders.dlq',
      'x-dead-letter-strategy': 'at-least-once',
      'x-overflow': 'reject-publish',
    })
  })

  test('of a dead-letter queue never drop what was looked at, and keep it as long as asked', () => {
    const spec: QueueSpec = {
      kind: 'queue',
      name: 'orders.dlq',
      role: 'dead-letter',
      leaseMs: 1,
      dedupWindowMs: 0,
      order: 'none',
      retentionMs: 1_000,
    }
    expect(queueSettings(spec)).toEqual({
      durable: true,
      'x-queue-type': 'quorum',
      'x-delivery-limit': 2_000_000_000,
      'x-message-ttl': 1_000,
    })
  })

  test('are refused for what there is no capability for', () => {
    expect(() => checked({ ...orders, dedupWindowMs: 1 })).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED' }),
    )
  })
})

test.each(['amq.orders', 'msgloop.v1.delay-00'])('%s is a name that cannot be ours to give', (name) => {
  for (const topology of [{ ...orders, name }, { kind: 'topic', name } as const])
    expect(() => checked(topology)).toThrow(
      expect.objectContaining({ code: 'INVALID', message: expect.stringContaining(name) }),
    )
})

describe('a subscription', () => {
  const billing: SubscriptionSpec = {
    ...orders,
    kind: 'subscription',
    name: 'events.billing',
    topic: 'events',
    patterns: ['order.*.eu', 'refund.#'],
  }
  const note = objectsOf(billing)[1]
  /** As the broker says it. */
  const exists = (actual: string): Error =>
    new Error(
      `PRECONDITION_FAILED - inequivalent arg 'alternate-exchange' for exchange 'x' in vhost '/': received 'y' but current is '${actual}'`,
    )
  const drift = (actual: string): unknown => {
    const found = inequivalence(exists(actual))
    return note && found && driftOf(note, found)
  }

  test('is a queue like any other, and a note of what it is bound by', () => {
    expect(objectsOf(billing)[0]?.settings).toEqual(objectsOf(orders)[0]?.settings)
    expect(note?.settings).toMatchObject({
      internal: true,
      'alternate-exchange': 'msgloop.v1.bindings order.*.eu refund.# of events',
    })
  })

  test('with other patterns, or of another topic, is told in these words', () => {
    const object = 'subscription "events.billing"'
    expect(drift('msgloop.v1.bindings # of events')).toEqual({
      object,
      field: 'patterns',
      expected: 'order.*.eu refund.#',
      actual: '#',
    })
    expect(drift('msgloop.v1.bindings order.*.eu refund.# of other')).toEqual({
      object,
      field: 'topic',
      expected: 'events',
      actual: 'other',
    })
    expect(drift('an exchange by somebody')).toMatchObject({
      field: 'patterns',
      actual: 'an exchange by somebody',
    })
  })
})
