import type { WireMessage } from '@msgloop/core/driver'
import type { Message, MessageProperties, Options } from 'amqplib'
import { describe, expect, test } from 'vitest'
import { levelName } from './delay.js'
import { copyOf, decode, encode } from './wire.js'

const NOW = 1_700_000_000_000

/** A message as amqplib hands it out. */
function native(properties: Options.Publish, body = '', redelivered = false): Message {
  return {
    content: Buffer.from(body),
    fields: { deliveryTag: 1, redelivered, exchange: '', routingKey: 'q' },
    properties: properties as MessageProperties,
  }
}

const full: WireMessage = {
  id: '018bcfe5-6800-7000-8000-000000000000',
  body: Buffer.from('body'),
  headers: { tenant: 'ä', 'msgloop-attempt': '2', CC: 'not a copy', 'x-death': 'of mine' },
  timestamp: NOW + 123,
  contentType: 'application/json',
  type: 'order',
  schemaVersion: '3',
  correlationId: 'c',
  causationId: 'z',
  key: 'k',
  subject: 'order.created',
  replyTo: 'answers',
  lane: 'high',
  expiresAt: NOW + 60_000,
  traceparent: '00-tp',
  tracestate: 'ts',
}

describe('a message of msgloop', () => {
  test('comes back as it was, with every field', () => {
    const sent = encode(full, 'queue', NOW)
    expect(decode(native(sent, 'body')).message).toEqual(full)
  })

  test('comes back as it was with no field but the four there must be', () => {
    const bare: WireMessage = { id: 'a', body: Buffer.from(''), headers: {}, timestamp: 0 }
    expect(decode(native(encode(bare, 'queue', NOW))).message).toEqual(bare)
  })

  test.each([NOW, NOW + 1, NOW + 999, NOW + 5_000])(
    'keeps the milliseconds of %i, whatever its id says',
    (timestamp) => {
      const message = { ...full, timestamp }
      expect(decode(native(encode(message, 'queue', NOW))).message.timestamp).toBe(timestamp)
      expect(decode(native(encode({ ...message, id: 'mine' }, 'queue', NOW))).message.timestamp).toBe(
        timestamp,
      )
    },
  )

  test('has its fields where foreign clients look for them', () => {
    expect(encode(full, 'queue', NOW)).toMatchObject({
      persistent: true,
      mandatory: true,
      messageId: full.id,
      timestamp: 1_700_000_000,
      contentType: 'application/json',
      type: 'order',
      correlationId: 'c',
      expiration: '60000',
    })
  })

  test('never carries `expiration` into a delay queue, which would cut the delay short', () => {
    const delayed = encode(full, 'delay', NOW)
    expect(delayed.expiration).toBeUndefined()
    expect(decode(native(delayed)).message.expiresAt).toBe(full.expiresAt)
  })

  test('has no `expiration` the broker would close the channel over', () => {
    expect(encode({ ...full, expiresAt: NOW - 5 }, 'queue', NOW).expiration).toBe('0')
    expect(encode({ ...full, expiresAt: NOW + 315_360_000_001 }, 'queue', NOW).expiration).toBeUndefined()
  })

  test('keeps texts that are too long for a property', () => {
    const long = {
      ...full,
      type: 'é'.repeat(128),
      correlationId: 'x'.repeat(256),
      contentType: 'y'.repeat(300),
    }
    const sent = encode(long, 'queue', NOW)
    expect([sent.type, sent.correlationId, sent.contentType]).toEqual([undefined, undefined, undefined])
    expect(decode(native(sent, 'body')).message).toEqual(long)
  })

  test("never sends a user's header as one the broker acts on", () => {
    expect(Object.keys(encode(full, 'queue', NOW).headers)).not.toContain('CC')
    expect(Object.keys(encode(full, 'queue', NOW).headers)).not.toContain('x-death')
  })
})

describe('a foreign message', () => {
  test('has every value of its headers as text', () => {
    const headers = {
      n: 1.5,
      b: true,
      nothing: null,
      bytes: Buffer.from('raw'),
      list: [1, 'x'],
      table: { a: 1 },
      when: { '!': 'timestamp', value: 77 },
      'x-death': [],
      'x-delivery-count': 1,
      CC: ['other'],
    }
    expect(decode(native({ headers })).message.headers).toEqual({
      n: '1.5',
      b: 'true',
      nothing: '',
      bytes: 'raw',
      list: '[1,"x"]',
      table: '{"a":1}',
      when: '77',
    })
  })

  test('has the time, type and correlation of its properties', () => {
    const { message } = decode(
      native({ timestamp: 1_700_000_000, type: 't', correlationId: 'c', messageId: 'm' }),
    )
    expect(message).toMatchObject({ id: 'm', timestamp: NOW, type: 't', correlationId: 'c' })
  })

  test('without an id has one that stays the same when it is delivered again, and in copies', () => {
    const headers = { b: 1, a: 2 }
    const first = decode(native({ headers, type: 't' }, 'body')).message.id
    const again = native({ headers: { a: 2, b: 1, 'x-delivery-count': 1 }, type: 't' }, 'body', true)
    expect(first).toMatch(/^amqp-[0-9a-f]{32}$/)
    expect(decode(again).message.id).toBe(first)
    expect(copyOf(again, { 'msgloop-attempt': '2' }, 'direct', NOW).messageId).toBe(first)
    expect(decode(native({ headers, type: 't' }, 'other body')).message.id).not.toBe(first)
  })

  test('with fields that make no sense is decoded all the same', () => {
    const headers = {
      'msgloop-expires-at': 'soon',
      'msgloop-timestamp': {},
      'msgloop-lane': 7,
      'x-death': 'no',
    }
    const { message, deliveries, nativeDeath } = decode(native({ headers, messageId: '' }))
    expect(message).toMatchObject({ timestamp: 0, headers: {} })
    expect([message.expiresAt, message.lane, nativeDeath, deliveries]).toEqual([
      undefined,
      undefined,
      undefined,
      1,
    ])
  })
})

describe('the subject', () => {
  const routed = (exchange: string, routingKey: string, headers = {}): Message => ({
    ...native({ headers }),
    fields: { deliveryTag: 1, redelivered: false, exchange, routingKey },
  })
  const subject = (message: Message): unknown => decode(message).message.subject

  test('is the routing key where it came by an exchange, and needs no header to a topic', () => {
    expect(encode(full, 'topic', NOW)).toMatchObject({ mandatory: false })
    expect(encode(full, 'topic', NOW).headers).not.toHaveProperty('msgloop-subject')
    expect(subject(routed('events', 'order.created'))).toBe('order.created')
  })

  test('is not the name of the queue or the bits of a delay', () => {
    expect(subject(routed('', 'orders'))).toBeUndefined()
    expect(subject(routed('msgloop.v1.delivery', '0.1.orders'))).toBeUndefined()
    expect(subject(routed('a-fanout', ''))).toBeUndefined()
  })

  test('travels in a header with copies, which go straight to a queue', () => {
    const copy = copyOf(routed('events', 'order.created'), {}, 'direct', NOW)
    expect(copy.headers).toMatchObject({ 'msgloop-subject': 'order.created' })
    expect(subject(routed('', 'q', copy.headers))).toBe('order.created')
    expect(subject(routed('msgloop.v1.delivery', '0.1.q', copy.headers))).toBe('order.created')
  })

  test('is found again when the broker itself has dead-lettered the message', () => {
    const deaths = [
      { queue: 'events.a.dlq', exchange: '', 'routing-keys': ['events.a.dlq'] },
      { queue: 'events.a', exchange: 'events', 'routing-keys': ['order.created'] },
    ]
    expect(subject(routed('', 'events.a.dlq', { 'x-death': deaths }))).toBe('order.created')
  })
})

describe('deliveries', () => {
  test.each([
    [{}, false, 1],
    [{}, true, 2],
    [{ 'x-delivery-count': 3 }, true, 4],
    [{ 'x-acquired-count': 5, 'x-delivery-count': 3 }, true, 6],
    [{ 'msgloop-deliveries': '4' }, false, 5],
    [{ 'msgloop-deliveries': '4', 'x-delivery-count': 2 }, true, 7],
  ])('of headers %j, redelivered %s, are %i', (headers, redelivered, expected) => {
    expect(decode(native({ headers }, '', redelivered)).deliveries).toBe(expected)
  })
})

describe('the death of a message', () => {
  const death = (queue: string, reason: string): object => ({
    queue,
    reason,
    time: { '!': 'timestamp', value: 1_700_000_000 },
  })

  test.each([
    ['expired', 'expired'],
    ['delivery_limit', 'crash-loop'],
    ['rejected', 'rejected'],
    ['maxlen', 'exhausted'],
  ])('by %s is told as %s', (reason, expected) => {
    const headers = { 'x-death': [death('orders', reason), death(levelName(3), 'expired')] }
    expect(decode(native({ headers })).nativeDeath).toEqual({ reason: expected, source: 'orders', at: NOW })
  })

  test('is not a hop of its delay', () => {
    const headers = { 'x-death': [death(levelName(0), 'expired'), death(levelName(28), 'expired')] }
    expect(decode(native({ headers })).nativeDeath).toBeUndefined()
  })

  test('ends its expiry, or it would expire once more in the dead-letter queue', () => {
    const headers = { 'msgloop-expires-at': '5', 'x-death': [death('orders', 'expired')] }
    expect(decode(native({ headers })).message.expiresAt).toBeUndefined()
  })
})

describe('a copy', () => {
  const original = native({
    ...encode(full, 'queue', NOW),
    headers: {
      ...encode(full, 'queue', NOW).headers,
      number: 7,
      table: { a: [1] },
      'x-death': [{ queue: 'q' }],
      'x-first-death-queue': 'q',
      'x-last-death-reason': 'expired',
      'x-delivery-count': 3,
      'x-acquired-count': 3,
      CC: ['elsewhere'],
      BCC: ['elsewhere'],
    },
    appId: 'app',
    replyTo: 'answers',
    priority: 4,
    contentEncoding: 'gzip',
    userId: 'somebody',
  })

  test('is the message again, with the bookkeeping of the verdict', () => {
    const copy = native(
      copyOf(original, { 'msgloop-attempt': '3', 'msgloop-history': '[]' }, 'direct', NOW),
      'body',
    )
    const { 'msgloop-attempt': _, ...headers } = full.headers
    expect(decode(copy).message).toEqual({
      ...full,
      headers: {
        ...headers,
        number: '7',
        table: '{"a":[1]}',
        'msgloop-attempt': '3',
        'msgloop-history': '[]',
      },
    })
    expect(decode(copy).deliveries).toBe(1)
  })

  test('keeps native properties and the types of foreign headers', () => {
    const copy = copyOf(original, {}, 'direct', NOW)
    expect(copy).toMatchObject({
      appId: 'app',
      replyTo: 'answers',
      priority: 4,
      contentEncoding: 'gzip',
      persistent: true,
    })
    expect(copy.headers).toMatchObject({ number: 7, table: { a: [1] } })
  })

  test("carries nothing the broker would act on or refuse: its own headers, and another user's name", () => {
    const copy = copyOf(original, {}, 'direct', NOW)
    expect(Object.keys(copy.headers).filter((name) => /^x-|^B?CC$/.test(name))).toEqual([])
    expect(copy).not.toHaveProperty('userId')
  })

  test('drops reserved headers the verdict does not list', () => {
    expect(copyOf(original, {}, 'direct', NOW).headers).not.toHaveProperty('msgloop-attempt')
  })

  test('keeps its expiry for a retry, in the header alone while it waits, and loses it for a move', () => {
    const expiry = (copy: Options.Publish): unknown[] => [copy.expiration, copy.headers['msgloop-expires-at']]
    expect(expiry(copyOf(original, {}, 'direct', NOW + 10_000))).toEqual(['50000', String(full.expiresAt)])
    expect(expiry(copyOf(original, {}, 'header', NOW))).toEqual([undefined, String(full.expiresAt)])
    expect(expiry(copyOf(original, {}, 'none', NOW))).toEqual([undefined, undefined])
  })
})
