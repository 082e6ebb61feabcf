import type { WireMessage } from '@msgloop/core/driver'
import { describe, expect, test } from 'vitest'
import type { Entry } from './entry.js'
import { changeFor, deathHeaders, decode, encode } from './wire.js'

const NOW = 1_700_000_000_000

/** Fields as the server gives them back. */
const entry = (fields: readonly (string | Uint8Array)[], id = '5-1'): Entry => ({
  id,
  fields: fields.map((field) => Buffer.from(field)),
})
const named = ({ fields }: Entry): Record<string, string> => {
  const found: Record<string, string> = {}
  for (let at = 0; at < fields.length; at += 2) found[String(fields[at])] = String(fields[at + 1])
  return found
}
/** What the script makes of a change. */
function changed(original: Entry, books: Record<string, string>, kind: 'retry' | 'move'): Entry {
  const { without, more } = changeFor(original, books, kind)
  const fields: Buffer[] = []
  for (let at = 0; at < original.fields.length; at += 2)
    if (!without.includes(String(original.fields[at]))) fields.push(...original.fields.slice(at, at + 2))
  return { id: '9-9', fields: [...fields, ...more.map((text) => Buffer.from(text))] }
}

const full: WireMessage = {
  id: '018bcfe5-6800-7000-8000-000000000000',
  body: Buffer.from('body'),
  headers: {
    tenant: 'ä',
    'msgloop-attempt': '2',
    body: 'not it',
    id: 'nor this',
    'content-type': 'x',
    key: 'k',
  },
  timestamp: NOW + 123,
  contentType: 'application/json',
  type: 'order',
  schemaVersion: '3',
  correlationId: 'c',
  causationId: 'z',
  key: 'k',
  subject: 'order.created',
  replyTo: 'msgloop:replies:1',
  lane: 'high',
  expiresAt: NOW + 60_000,
  traceparent: '00-tp',
  tracestate: 'ts',
}

describe('a message of msgloop', () => {
  test('comes back as it was, with every field, and headers that are named as fields', () => {
    expect(decode(entry(encode(full)), 1)).toEqual({ message: full, deliveries: 1 })
  })

  test('comes back as it was with no field but the four there must be', () => {
    const bare: WireMessage = { id: 'a', body: Buffer.from(''), headers: {}, timestamp: 0 }
    expect(decode(entry(encode(bare)), 1).message).toEqual(bare)
  })

  test.each([0, 1, NOW, NOW + 1])('keeps the timestamp %i, whatever its id says', (timestamp) => {
    for (const id of [
      full.id,
      'mine',
      '018bcfe5-6800-4000-8000-000000000000',
      '018bcfe5-zzzz-7000-8000-00000000000z',
    ])
      expect(decode(entry(encode({ ...full, id, timestamp })), 1).message.timestamp).toBe(timestamp)
  })

  test('has its fields where other clients look for them', () => {
    expect(named(entry(encode(full)))).toMatchObject({
      id: full.id,
      body: 'body',
      'content-type': 'application/json',
      type: 'order',
      'correlation-id': 'c',
      timestamp: String(NOW + 123),
      tenant: 'ä',
      'header:body': 'not it',
    })
  })

  test('keeps bodies that are no text', () => {
    const body = Buffer.from([0xff, 0xfe, 0x00, 0xc3, 0x28])
    expect(decode(entry(encode({ ...full, body })), 1).message.body).toEqual(body)
  })
})

describe('an entry of another client', () => {
  test('has the id of the entry where it names none', () => {
    expect(decode(entry(['body', 'x'], '77-3'), 1).message).toEqual({
      id: '77-3',
      body: Buffer.from('x'),
      headers: {},
      timestamp: 0,
    })
  })

  test('has as body all its fields, as JSON, where none is named so', () => {
    const { message } = decode(entry(['sku', '12', 'qty', '3', 'traceparent', '00-x']), 1)
    expect(JSON.parse(String(message.body))).toEqual({ sku: '12', qty: '3' })
    expect(message).toMatchObject({
      contentType: 'application/json',
      headers: { sku: '12', qty: '3' },
      traceparent: '00-x',
    })
  })

  test.each([
    ['an odd number of fields', ['body', 'x', 'lonely']],
    ['no fields', []],
    ['one name twice', ['body', 'x', 'a', '1', 'a', '2']],
    ['a lane there is none of', ['body', 'x', 'msgloop-lane', 'urgent']],
    ['times that are none', ['body', 'x', 'timestamp', 'now', 'msgloop-expires-at', '']],
    ['a death that is no JSON', ['body', 'x', 'msgloop-death', '{']],
    ['a death that is none', ['body', 'x', 'msgloop-death', 'null']],
    ['a name of `__proto__`', ['body', 'x', '__proto__', 'polluted']],
    ['an empty id', ['id', '', 'body', 'x']],
  ])('with %s decodes', (_what, fields) => {
    const { message, nativeDeath } = decode(entry(fields), 1)
    expect(message).toMatchObject({ id: '5-1', timestamp: 0 })
    expect(message.expiresAt).toBeUndefined()
    expect(message.lane).toBeUndefined()
    expect(nativeDeath).toBeUndefined()
    expect(Reflect.get({}, 'polluted')).toBeUndefined()
  })
})

describe('a copy', () => {
  const books = { 'msgloop-attempt': '3', 'msgloop-deliveries': '4' }

  test('for a retry is all of the original, with the new bookkeeping in place of the old', () => {
    const original = entry(encode({ ...full, headers: { ...full.headers, 'msgloop-history': 'old' } }))
    const { message, deliveries } = decode(changed(original, books, 'retry'), 1)
    expect(message).toEqual({ ...full, headers: { ...full.headers, ...books } })
    expect(deliveries).toBe(5)
  })

  test('for a move does not expire', () => {
    const { message } = decode(changed(entry(encode(full)), {}, 'move'), 1)
    const { expiresAt: _, ...lasting } = full
    const { 'msgloop-attempt': __, ...headers } = full.headers
    expect(message).toEqual({ ...lasting, headers })
  })

  test.each([[['body', 'x']], [['id', '', 'body', 'x']], [['sku', '12']]])(
    'of %j keeps the id that the original had by its entry, however often',
    (fields) => {
      const first = changed(entry(fields, '77-3'), books, 'retry')
      const second = changed(first, {}, 'move')
      expect(decode(second, 1).message.id).toBe('77-3')
      expect(decode(second, 1).message.body).toEqual(decode(entry(fields, '77-3'), 1).message.body)
    },
  )

  test('of what the driver dead-lettered tells so, and a replay of that does not', () => {
    const dead = changed(entry(encode(full)), { ...deathHeaders('orders', 401, NOW) }, 'move')
    expect(decode(dead, 1)).toMatchObject({
      nativeDeath: { reason: 'crash-loop', source: 'orders', at: NOW },
      deliveries: 402,
    })
    expect(decode(dead, 0).message.headers).not.toHaveProperty('msgloop-death')
    expect(decode(changed(dead, {}, 'move'), 1).nativeDeath).toBeUndefined()
  })
})
