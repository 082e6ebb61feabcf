import type { QueueSpec } from '@msgloop/core/driver'
import { describe, expect, test } from 'vitest'
import { NatsDriver } from './driver.js'
import {
  asQueue,
  CONSUMER_SETTINGS,
  consumerDrifts,
  consumerSettings,
  driftError,
  streamDrifts,
  streamOf,
  streamSettings,
  subjectOf,
  token,
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

/** The way back, as any client can take it. */
const named = (text: string): string => decodeURIComponent(text.replaceAll('=', '%'))

describe('the name of a queue as a token', () => {
  test('is itself where it can be', () => {
    expect(token('Orders_of-2026')).toBe('Orders_of-2026')
  })

  test.each([
    'a.b',
    'a..b',
    'a.',
    'a=2Eb',
    'a%2Eb',
    'a b',
    'a*',
    'a>',
    'a/b',
    'a\\b',
    'grüße',
    '世界 🚀',
    'a\tb',
  ])('%s holds nothing that NATS would read, and can be told from every other', (name) => {
    expect(token(name)).toMatch(/^[A-Za-z0-9_=-]+$/)
    expect(named(token(name))).toBe(name)
  })

  test('parts prefix and queue for good', () => {
    expect(streamOf('msgloop', 'orders.dlq')).toBe('msgloop-orders=2Edlq')
    expect(subjectOf('msgloop', 'orders.dlq')).toBe('msgloop.orders=2Edlq')
    expect(streamOf('a', 'b-c')).not.toBe(streamOf('a_b', 'c'))
    expect(streamOf('p'.repeat(32), '.'.repeat(70)).length).toBeLessThanOrEqual(255)
  })
})

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
    expect(consumerSettings(WORK)).toMatchObject({
      ack_policy: 'explicit',
      max_deliver: -1,
      max_ack_pending: -1,
      ack_wait: 30_000_000_000,
    })
    expect(Object.keys(consumerSettings(WORK))).not.toContain('backoff')
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
    expect(consumerSettings({ ...WORK, leaseMs: Number.MAX_SAFE_INTEGER }).ack_wait).toBe(longest)
  })
})

describe('drift', () => {
  const { name: _, ...stream } = streamSettings(WORK, 'msgloop')

  test('is none where the server has what is declared, and more that is no matter', () => {
    const found = { ...stream, num_replicas: 3, compression: 's2', metadata: { '_nats.ver': '2.15' } }
    expect(streamDrifts(WORK, 'msgloop', undefined, found)).toEqual([])
    const consumer = { ...CONSUMER_SETTINGS, ack_wait: 1, max_waiting: 9, metadata: {}, backoff: undefined }
    expect(consumerDrifts(WORK, consumer)).toEqual([])
  })

  test('is told field by field', () => {
    const found = { ...stream, retention: 'limits', max_msgs: 7, subjects: ['a', 'b'] }
    expect(streamDrifts(WORK, 'msgloop', undefined, found)).toEqual([
      { object: 'queue "orders"', field: 'subjects', expected: 'msgloop.orders', actual: 'a, b' },
      { object: 'queue "orders"', field: 'retention', expected: 'workqueue', actual: 'limits' },
      { object: 'queue "orders"', field: 'max_msgs', expected: '-1', actual: '7' },
    ])
    expect(consumerDrifts(WORK, { ...CONSUMER_SETTINGS, max_deliver: 5, backoff: [1, 2] })).toEqual([
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
    expect(driftError('orders', drifts)).toMatchObject({
      code: 'DRIFT',
      outcome: 'rejected',
      message: expect.stringMatching(/queue "orders".*max_msgs.*is 7, wanted -1.*'verify' or 'none'/),
    })
  })
})

describe('what the broker cannot do is refused as UNSUPPORTED', () => {
  const driver = new NatsDriver(resolveTarget({ url: 'nats://127.0.0.1:1' }))
  const signal = new AbortController().signal

  test.each([
    ['topics', { kind: 'topic', name: 't' }],
    ['order by key', { ...WORK, order: 'key' }],
    ['a duplicate window', { ...WORK, dedupWindowMs: 1_000 }],
  ] as const)('%s, before any I/O', async (_, topology) => {
    expect(() => asQueue(topology)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }))
    await expect(driver.admin.declare(topology, signal)).rejects.toMatchObject({ code: 'UNSUPPORTED' })
    await expect(driver.admin.verify(topology, signal)).rejects.toMatchObject({ code: 'UNSUPPORTED' })
  })
})
