import { describe, expect, test } from 'vitest'
import {
  partitionSubject,
  streamOf,
  subjectOf,
  token,
  topicStreamOf,
  topicSubjectOf,
  turnSubject,
} from './names.js'

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

test('a topic and a queue of the same name are apart', () => {
  expect(topicStreamOf('msgloop', 'orders')).not.toBe(streamOf('msgloop', 'orders'))
  expect(token('orders=topic')).not.toBe('orders=topic')
})

test.each(['topic', 'topic.orders', 'orders'])('no subject of the queue %s is one of a topic', (queue) => {
  const topics = topicSubjectOf('msgloop', 'orders', 'created').split('.')
  for (const subject of [subjectOf('msgloop', queue), partitionSubject('msgloop', queue, 7)])
    expect(subject.split('.').length).toBeLessThan(topics.length)
})

test('a message has its turn with those of its key, and without one by its id', () => {
  const message = { id: 'a', body: Buffer.of(), headers: {}, timestamp: 0 }
  expect(turnSubject('m', 'q', { ...message, key: 'k' })).toBe(
    turnSubject('m', 'q', { ...message, id: 'b', key: 'k' }),
  )
  expect(turnSubject('m', 'q', message)).toBe(turnSubject('m', 'q', { ...message, id: 'z', key: 'a' }))
})
