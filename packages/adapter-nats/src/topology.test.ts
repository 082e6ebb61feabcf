import type { QueueSpec, SubscriptionSpec } from '@msgloop/core/driver'
import { describe, expect, test } from 'vitest'
import { NatsDriver } from './driver.js'
import { outletsOf } from './outlets.js'
import {
  checked,
  consumerDrifts,
  consumerSettings,
  driftError,
  streamDrifts,
  streamSettings,
} from './topology.js'
import { resolveTarget } from './url.js'

const COMMON = { kind: 'queue', leaseMs: 30_000, dedupWindowMs: 0, order: 'none' } as const
const WORK: QueueSpec = {
  ...COMMON,
  name: 'orders',
  role: 'work',
  deadLetter: 'orders.dlq',
  deliveryLimit: 400,
}
const DEAD: QueueSpec = { ...COMMON, name: 'orders.dlq', role: 'dead-letter', retentionMs: 86_400_000 }

const ORDERED: QueueSpec = { ...WORK, order: 'key' }
const SUBSCRIPTION: SubscriptionSpec = {
  ...WORK,
  kind: 'subscription',
  name: 'events.billing',
  topic: 'events',
  patterns: ['order.*'],
}

/** The one outlet of a queue. */
const [
  OUTLET = (() => {
    throw new Error('none')
  })(),
] = outletsOf('msgloop', WORK)

describe('the settings of a queue', () => {
  test('keep messages until they are acked, on disk, without any limit that could drop one', () => {
    expect(streamSettings(WORK, 'msgloop')).toMatchObject({
      subjects: ['msgloop.orders'],
      retention: 'workqueue',
      storage: 'file',
      discard: 'new',
      max_age: 0,
      max_msgs: -1,
      max_bytes: -1,
    })
    expect(consumerSettings(OUTLET, WORK)).toMatchObject({
      ack_policy: 'explicit',
      max_deliver: -1,
      max_ack_pending: -1,
      ack_wait: 30_000_000_000,
    })
    expect(Object.keys(consumerSettings(OUTLET, WORK))).not.toContain('backoff')
  })

  test('keep dead letters for their retention, and know copies for no longer than that', () => {
    const settings = streamSettings({ ...DEAD, retentionMs: 60_000 }, 'msgloop')
    expect(settings.max_age).toBe(60_000_000_000)
    expect(settings.duplicate_window).toBe(60_000_000_000)
    expect(streamSettings(DEAD, 'msgloop').duplicate_window).toBe(600_000_000_000)
  })

  test('hold numbers that fit the server, however long the retention or the lease', () => {
    const longest = 366 * 86_400_000 * 1_000_000
    expect(streamSettings({ ...DEAD, retentionMs: Number.MAX_SAFE_INTEGER }, 'm').max_age).toBe(longest)
    expect(consumerSettings(OUTLET, { leaseMs: Number.MAX_SAFE_INTEGER }).ack_wait).toBe(longest)
  })
})

describe('the settings', () => {
  test('of a topic keep what somebody is subscribed to', () => {
    expect(streamSettings({ kind: 'topic', name: 'events' }, 'msgloop')).toMatchObject({
      name: 'msgloop-events=topic',
      subjects: ['msgloop.topic.events.>'],
      retention: 'interest',
      max_age: 0,
      discard: 'new',
    })
  })

  test('of a subscription tell its topic and patterns, so that others are drift', () => {
    const { name: _, ...found } = streamSettings(SUBSCRIPTION, 'msgloop')
    expect(streamDrifts(SUBSCRIPTION, 'msgloop', undefined, found)).toEqual([])
    const other = { ...SUBSCRIPTION, patterns: ['order.#'] }
    expect(streamDrifts(other, 'msgloop', undefined, found)).toEqual([
      {
        object: 'subscription "events.billing"',
        field: 'description',
        expected: '{"topic":"events","patterns":["order.#"]}',
        actual: '{"topic":"events","patterns":["order.*"]}',
      },
    ])
  })

  test('of a subscription begin with what is published after it, those of a queue with all there is', () => {
    const [own, filtered] = outletsOf('msgloop', SUBSCRIPTION)
    expect(own && consumerSettings(own, SUBSCRIPTION)).toMatchObject({ deliver_policy: 'all' })
    expect(filtered && consumerSettings(filtered, SUBSCRIPTION)).toMatchObject({
      deliver_policy: 'new',
      filter_subject: 'msgloop.topic.events.order.>',
      durable_name: 'billing=0',
    })
  })

  test('of order by key hand over one message of a partition at a time', () => {
    const outlets = outletsOf('msgloop', ORDERED)
    expect(outlets.filter(({ feeds }) => !feeds)).toHaveLength(16)
    for (const outlet of outlets) {
      const { max_ack_pending } = consumerSettings(outlet, ORDERED)
      expect(max_ack_pending).toBe(outlet.consumer === 'msgloop-delayed' ? -1 : 1)
    }
    expect(streamSettings(ORDERED, 'msgloop').subjects).toEqual([
      'msgloop.orders',
      'msgloop.orders.*',
      'msgloop.orders.=released.*',
    ])
    const { name: _, ...plain } = streamSettings(WORK, 'msgloop')
    expect(streamDrifts(ORDERED, 'msgloop', undefined, plain).map(({ field }) => field)).toContain('subjects')
  })
})

describe('drift', () => {
  const { name: _, ...stream } = streamSettings(WORK, 'msgloop')

  test('is none where the server has what is declared, and more that is no matter', () => {
    const found = { ...stream, num_replicas: 3, compression: 's2', metadata: { '_nats.ver': '2.15' } }
    expect(streamDrifts(WORK, 'msgloop', undefined, found)).toEqual([])
    const consumer = { ...consumerSettings(OUTLET, WORK), ack_wait: 1, max_waiting: 9, metadata: {} }
    expect(consumerDrifts(WORK, OUTLET, consumer)).toEqual([])
  })

  test('is told field by field', () => {
    const found = { ...stream, retention: 'limits', max_msgs: 7, subjects: ['a', 'b'] }
    expect(streamDrifts(WORK, 'msgloop', undefined, found)).toEqual([
      { object: 'queue "orders"', field: 'subjects', expected: 'msgloop.orders', actual: 'a, b' },
      { object: 'queue "orders"', field: 'retention', expected: 'workqueue', actual: 'limits' },
      { object: 'queue "orders"', field: 'max_msgs', expected: '-1', actual: '7' },
    ])
    expect(
      consumerDrifts(WORK, OUTLET, { ...consumerSettings(OUTLET, WORK), max_deliver: 5, backoff: [1, 2] }),
    ).toEqual([
      { object: 'consumer of queue "orders"', field: 'backoff', expected: 'none', actual: '1, 2' },
      { object: 'consumer of queue "orders"', field: 'max_deliver', expected: '-1', actual: '5' },
    ])
  })

  test('is another number of replicas only where one was asked for', () => {
    const found = { ...stream, num_replicas: 1 }
    expect(streamDrifts(WORK, 'msgloop', 1, found)).toEqual([])
    expect(streamDrifts(WORK, 'msgloop', 3, found)).toEqual([
      { object: 'queue "orders"', field: 'num_replicas', expected: '3', actual: '1' },
    ])
  })

  test('makes an error that names queue, field and what to do', () => {
    const drifts = streamDrifts(WORK, 'msgloop', undefined, { ...stream, max_msgs: 7 })
    expect(driftError(WORK, drifts)).toMatchObject({
      code: 'DRIFT',
      outcome: 'rejected',
      message: expect.stringMatching(/queue "orders".*max_msgs.*is 7, wanted -1.*'verify' or 'none'/),
    })
  })
})

describe('what the broker cannot do is refused as UNSUPPORTED', () => {
  const driver = new NatsDriver(resolveTarget({ url: 'nats://127.0.0.1:1' }))
  const signal = new AbortController().signal

  test.each([['a duplicate window', { ...WORK, dedupWindowMs: 1_000 }]] as const)(
    '%s, before any I/O',
    async (_, topology) => {
      expect(() => checked(topology)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }))
      await expect(driver.admin.declare(topology, signal)).rejects.toMatchObject({ code: 'UNSUPPORTED' })
      await expect(driver.admin.verify(topology, signal)).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    },
  )
})
