import { BOOK_HEADERS, FIELD_HEADERS, type WireMessage } from '@msgloop/core/driver'
import { headers, MsgHdrsImpl } from '@nats-io/transport-node'
import { describe, expect, test } from 'vitest'
import {
  DEATH_HEADER,
  DEDUP_HEADER,
  DELAY_HEADER,
  decode,
  encode,
  originOf,
  originOfStored,
  withBooks,
} from './wire.js'

const V7 = '019b76da-a800-7000-8000-000000000001'
const V7_TIME = 0x019b76daa800
const ORIGIN = { id: 'msgloop-q:7:1795369810447808102', storedAt: 1_795_369_810_447 }
const PLAIN: WireMessage = { id: V7, body: Buffer.from('x'), headers: {}, timestamp: V7_TIME }

/** As the client library hands over what was encoded. */
function received(lines: Uint8Array, body: Uint8Array = Buffer.from('x')) {
  return decode({ data: body, headers: MsgHdrsImpl.decode(lines) }, ORIGIN)
}
const roundTrip = (message: WireMessage): WireMessage => received(encode(message), message.body).message
const foreign = (given: Readonly<Record<string, string>>) => {
  const all = headers()
  for (const [name, value] of Object.entries(given)) all.append(name, value)
  return decode({ data: Buffer.from('x'), headers: all }, ORIGIN)
}

describe('a message', () => {
  test('arrives as it was, with every field', () => {
    const message: WireMessage = {
      id: 'order-4711/~!',
      body: Buffer.from([0, 255]),
      headers: { tenant: 'a', 'X-Case': 'Ä' },
      timestamp: 1_700_000_000_123,
      contentType: 'application/json',
      type: 'order.created',
      schemaVersion: '2.1',
      correlationId: 'corr-ü',
      causationId: 'cause/1',
      key: 'customer 7',
      subject: 'order.created.eu',
      replyTo: '_INBOX.abc',
      lane: 'high',
      expiresAt: 1_800_000_000_456,
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      tracestate: 'vendor=value,other=1',
    }
    expect(roundTrip(message)).toEqual(message)
  })

  test('has no field that was not given', () => {
    expect(roundTrip(PLAIN)).toEqual(PLAIN)
  })

  test('costs two headers when it is plain, as its time is in its id', () => {
    const lines = encode({ ...PLAIN, contentType: 'application/json' }).toString()
    expect(lines).toBe(`NATS/1.0\r\nmsgloop-id: ${V7}\r\nContent-Type: application/json\r\n\r\n`)
  })

  test.each([
    ['line ends', 'one\r\ntwo\nthree\rfour'],
    ['control characters', 'a\u0000b\u007f\tc'],
    ['blanks at the ends', '  both \t'],
    ['blanks that only Unicode knows', '\u00a0nbsp\u2028'],
    ['what looks encoded', '=?UTF-8?B?Zm9v?='],
    ['a beginning of what looks encoded', '=?'],
    ['every script', 'Straße 世界 🚀 \u{10ffff}'],
    ['colons and quotes', 'a: "b", c;d=e'],
    ['nothing', ''],
    ['a lone blank', ' '],
  ])('keeps %s in a header and in a field', (_, value) => {
    const message = { ...PLAIN, headers: { 'X-Value': value }, ...(value && { key: value }) }
    expect(roundTrip(message)).toEqual(message)
  })

  test('is one line for each header, so that no value can add another', () => {
    const lines = encode({ ...PLAIN, headers: { a: 'x\r\nNats-Rollup: all', b: '\n\n' } }).toString()
    expect(lines.split('\r\n').map((each) => each.split(':')[0])).toEqual([
      'NATS/1.0',
      'msgloop-id',
      'a',
      'b',
      '',
      '',
    ])
  })

  test.each([
    'Nats-Msg-Id',
    'nats-rollup',
    'Nats-TTL',
    'content-type',
    'Content-Type',
    'Type',
    'correlation-id',
  ])("keeps a user's header %s from being an order to the server, or a field", (name) => {
    const message = { ...PLAIN, headers: { [name]: 'mine' } }
    expect(encode(message).toString()).not.toMatch(new RegExp(`^${name}:`, 'm'))
    expect(roundTrip(message)).toEqual(message)
  })

  test('carries the bookkeeping of the core as it is', () => {
    const books = { [BOOK_HEADERS.history]: '{"total":1,"records":[]}', [BOOK_HEADERS.replays]: '2' }
    expect(roundTrip({ ...PLAIN, headers: { a: 'b', ...books } }).headers).toEqual({ a: 'b', ...books })
  })

  test('goes on counting where a copy says so', () => {
    const books = { [BOOK_HEADERS.attempt]: '3', [BOOK_HEADERS.deliveries]: '7' }
    expect(received(encode({ ...PLAIN, headers: books }))).toMatchObject({ attempt: 3, deliveries: 7 })
    expect(received(encode(PLAIN))).toMatchObject({ attempt: 1, deliveries: 0, delayMs: 0 })
    expect(received(encode({ ...PLAIN, headers: { [BOOK_HEADERS.attempt]: '-1' } }))).toMatchObject({
      attempt: 1,
    })
  })

  test("shows none of the driver's own headers to the core", () => {
    const own = { [DELAY_HEADER]: '250', [DEDUP_HEADER]: 'x', [DEATH_HEADER]: 'orders 1700000000000' }
    const { message, delayMs, nativeDeath } = received(encode(PLAIN, own))
    expect(message).toEqual(PLAIN)
    expect(delayMs).toBe(250)
    expect(nativeDeath).toEqual({ reason: 'crash-loop', source: 'orders', at: 1_700_000_000_000 })
  })
})

describe('a message of another client', () => {
  test('has the id it was published with, or else that of where it is stored', () => {
    expect(foreign({ 'Nats-Msg-Id': 'f-1' }).message.id).toBe('f-1')
    expect(foreign({}).message.id).toBe(ORIGIN.id)
    expect(decode({ data: Buffer.from('x') }, ORIGIN).message.id).toBe(ORIGIN.id)
  })

  test('has the time the server stored it at', () => {
    expect(foreign({ 'Nats-Msg-Id': V7 }).message.timestamp).toBe(ORIGIN.storedAt)
  })

  test('is read whatever the case of the names of its fields', () => {
    const { message } = foreign({
      'content-type': 'text/plain',
      TYPE: 'made',
      'correlation-ID': 'c',
      'X-a': 'b',
    })
    expect(message).toMatchObject({ contentType: 'text/plain', type: 'made', correlationId: 'c' })
    expect(message.headers).toEqual({ 'X-a': 'b' })
  })

  test('has all values of a header in one, and none of what is for the server', () => {
    const all = headers()
    all.append('a', '1')
    all.append('a', '2')
    all.append('Nats-Expected-Stream', 's')
    expect(decode({ data: Buffer.from('x'), headers: all }, ORIGIN).message.headers).toEqual({ a: '1, 2' })
  })

  test('is received though its headers are none', () => {
    const broken = {
      data: Buffer.from('body'),
      get headers(): never {
        throw new Error("'ü' is not a valid character in a header name")
      },
    }
    expect(decode(broken, ORIGIN).message).toMatchObject({
      id: ORIGIN.id,
      body: Buffer.from('body'),
      headers: {},
    })
  })

  test.each([
    [FIELD_HEADERS.expiresAt, 'soon'],
    [FIELD_HEADERS.timestamp, 'x'],
    [FIELD_HEADERS.lane, 'express'],
    [DELAY_HEADER, '-5'],
    [DEATH_HEADER, ''],
  ])('with a mangled %s is read as without it', (name, value) => {
    const { message, delayMs } = foreign({ [name]: value })
    expect(message).toMatchObject({ timestamp: ORIGIN.storedAt })
    expect(message.expiresAt).toBeUndefined()
    expect(message.lane).toBeUndefined()
    expect(delayMs).toBe(0)
  })
})

describe('where a message is stored', () => {
  const parts = 'msgloop-q.msgloop.3.7.12.1795369810447808102.5'
  const expected = {
    id: 'msgloop-q:7:1795369810447808102',
    stream: 'msgloop-q',
    consumer: 'msgloop',
    handed: 3,
    storedAt: 1_795_369_810_447,
  }

  test('is read from the subject of its acks, with and without a domain', () => {
    expect(originOf(`$JS.ACK.${parts}`)).toEqual(expected)
    expect(originOf(`$JS.ACK.hub.ACCOUNT.${parts}`)).toEqual(expected)
    expect(originOf(`$JS.ACK._.ACCOUNT.${parts}.random`)).toEqual(expected)
  })

  test('is the same when it is only looked at', () => {
    const { id, storedAt } = expected
    expect(originOfStored('msgloop-q', 7, '2026-11-22T17:50:10.447808102Z')).toEqual({ id, storedAt })
    expect(originOfStored('q', 1, '2026-11-22T17:50:10.4Z').id).toBe('q:1:1795369810400000000')
    expect(originOfStored('q', 1, '2026-11-22T17:50:10Z').id).toBe('q:1:1795369810000000000')
  })
})

test('a copy has the bookkeeping it is given, no other, and no expiry', () => {
  const before = { a: 'b', [BOOK_HEADERS.attempt]: '2', [BOOK_HEADERS.replays]: '1' }
  const message = { ...PLAIN, headers: before, key: 'k', expiresAt: 1 }
  expect(withBooks(message, { [BOOK_HEADERS.dead]: '{}' })).toEqual({
    ...PLAIN,
    key: 'k',
    expiresAt: undefined,
    headers: { a: 'b', [BOOK_HEADERS.dead]: '{}' },
  })
})
