import type { Message } from '@aws-sdk/client-sqs'
import type { WireMessage } from '@msgloop/core/driver'
import { describe, expect, test } from 'vitest'
import { capabilities, PUBLISH_BYTES, REQUEST_BYTES } from './capabilities.js'
import { booksOf, copyOf, deathOf, decode, type Encoded, encode } from './wire.js'

const ID = '0190163d-8694-739b-aea5-966c26f8ad91'
const ID_TIME = 0x0190163d8694
/** What SQS refuses. */
const NOT_XML = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u

const UNIQUE = { keyed: false, unique: true }

const message = (rest: Partial<WireMessage> = {}): WireMessage => ({
  id: ID,
  body: Buffer.from('{"n":1}'),
  headers: {},
  timestamp: ID_TIME,
  contentType: 'application/json',
  ...rest,
})

/** As SQS would hand it over. */
const stored = ({ entry }: Encoded, system: Record<string, string> = {}): Message => ({
  MessageId: 'native-1',
  ReceiptHandle: 'h',
  Body: entry.MessageBody ?? '',
  ...(entry.MessageAttributes && Object.keys(entry.MessageAttributes).length > 0
    ? { MessageAttributes: entry.MessageAttributes }
    : {}),
  Attributes: { ApproximateReceiveCount: '1', SentTimestamp: '1700000000000', ...system },
})

const roundTrip = (given: WireMessage): WireMessage => decode(stored(encode(given, 0, undefined))).message

describe('a message on the wire', () => {
  test('of JSON is its text, with its id and content type as attributes, and nothing else', () => {
    expect(encode(message(), 0, undefined).entry).toEqual({
      MessageBody: '{"n":1}',
      MessageAttributes: {
        'message-id': { DataType: 'String', StringValue: ID },
        'content-type': { DataType: 'String', StringValue: 'application/json' },
      },
    })
  })

  test('with every field and header has few attributes, and comes back as it was', () => {
    const given = message({
      timestamp: 1_700_000_000_123,
      headers: {
        tenant: 'ä',
        'content-type': 'mine',
        empty: '',
        constructor: 'x',
        lines: 'a\r\n\u0000\uFFFE',
      },
      type: 'made',
      correlationId: 'c',
      causationId: 'cause',
      schemaVersion: '2',
      key: 'k 1',
      lane: 'high',
      expiresAt: 1_800_000_000_000,
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      tracestate: 'v=1',
    })
    const { MessageAttributes = {} } = encode(given, 0, undefined).entry
    expect(Object.keys(MessageAttributes).sort()).toEqual([
      'content-type',
      'correlation-id',
      'message-id',
      'msgloop',
      'traceparent',
      'tracestate',
      'type',
    ])
    expect(roundTrip(given)).toEqual({ ...given, body: Buffer.from('{"n":1}') })
  })

  test.each([
    ['empty', Buffer.alloc(0)],
    ['not UTF-8', Buffer.from([0xff, 0x00, 0xc3, 0x28])],
    ['text with a character that XML lacks', Buffer.from('a\u0000b')],
    ['text with a noncharacter', Buffer.from('a\uFFFF')],
    ['a byte order mark and line ends', Buffer.from('\uFEFFa\r\n\tb')],
    ['a character beyond the first plane', Buffer.from('🚀')],
  ])('with a body that is %s keeps its bytes, and is never refused', (_, body) => {
    const encoded = encode(message({ body }), 0, undefined)
    expect(encoded.entry.MessageBody).not.toBe('')
    expect(encoded.entry.MessageBody).not.toMatch(NOT_XML)
    expect(Buffer.compare(decode(stored(encoded)).message.body, body)).toBe(0)
  })

  test('puts a field that XML cannot hold where it can be escaped', () => {
    const given = message({ type: 'a\u0001', correlationId: '\uFFFE' })
    for (const { StringValue } of Object.values(encode(given, 0, undefined).entry.MessageAttributes ?? {}))
      expect(StringValue).not.toMatch(NOT_XML)
    expect(roundTrip(given)).toMatchObject({ type: 'a\u0001', correlationId: '\uFFFE' })
  })

  test('fits in one request at its largest, with headers that grow most in JSON and all the bookkeeping', () => {
    const { bodyBytes, headerBytes } = capabilities.limits
    const native = stored(
      encode(
        message({
          body: Buffer.alloc(bodyBytes, 0xff),
          headers: { h: '\u0001'.repeat(headerBytes - 1) },
          key: '\u0001'.repeat(255),
          causationId: '\u0001'.repeat(255),
        }),
        0,
        undefined,
      ),
    )
    const books = {
      'msgloop-history': JSON.stringify({ records: '"'.repeat(4_096) }),
      'msgloop-dead': JSON.stringify({ stack: '\u0001'.repeat(4_096), message: '\u0001'.repeat(1_024) }),
    }
    const copy = copyOf(native, { books, delayMs: 0, keepsExpiry: true, fifo: undefined })
    expect(copy.bytes).toBeLessThan(REQUEST_BYTES)
  })
})

test('a message for a topic fits at its largest, with headers and fields that grow most in JSON', () => {
  const { topicBodyBytes = 0, headerBytes } = capabilities.limits
  const most = '\u0001'.repeat(255)
  const encoded = encode(
    message({
      body: Buffer.alloc(topicBodyBytes, 0xff),
      headers: { h: '\u0001'.repeat(headerBytes - 1) },
      id: most,
      contentType: most,
      type: most,
      correlationId: most,
      causationId: most,
      schemaVersion: most,
      key: most,
      traceparent: most,
      tracestate: most,
      subject: 's'.repeat(127),
      replyTo: 'r'.repeat(200),
    }),
    0,
    UNIQUE,
  )
  expect(encoded.bytes).toBeLessThan(PUBLISH_BYTES)
})

describe('a delay', () => {
  test('within 900 s is the broker`s own, in whole seconds', () => {
    expect(encode(message(), 1_500, undefined).entry.DelaySeconds).toBe(2)
    expect(decode(stored(encode(message(), 900_000, undefined))).delayMs).toBe(0)
  })

  test('beyond it is told to whoever receives the message, who waits for the rest', () => {
    const encoded = encode(message(), 86_400_000, undefined)
    expect(encoded.entry.DelaySeconds).toBe(900)
    expect(decode(stored(encoded))).toMatchObject({ delayMs: 86_400_000, storedAt: 1_700_000_000_000 })
  })

  test('of a FIFO queue is all told, as such a queue has none for one message', () => {
    const { entry } = encode(message(), 1_000, UNIQUE)
    expect(entry).toMatchObject({ MessageGroupId: ID, MessageDeduplicationId: ID })
    expect(entry.DelaySeconds).toBeUndefined()
    expect(decode(stored({ entry, bytes: 0 })).delayMs).toBe(1_000)
  })
})

const foreign = (names: readonly string[]): Message => ({
  MessageId: 'native-1',
  Body: 'text',
  MessageAttributes: Object.fromEntries(
    names.map((name) => [name, { DataType: 'Number', StringValue: '7' }] as const),
  ),
})
const TEN = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j']

describe('a foreign message', () => {
  test('without anything has SQS`s own id, no content type, and no time', () => {
    const { message: read } = decode({ MessageId: 'native-1', Body: '7' })
    expect(read).toEqual({ id: 'native-1', body: Buffer.from('7'), headers: {}, timestamp: 0 })
  })

  test('has its attributes as headers, whatever their type', () => {
    const { message: read } = decode({
      ...foreign(['count']),
      MessageAttributes: {
        count: { DataType: 'Number.int', StringValue: '7' },
        blob: { DataType: 'Binary', BinaryValue: new Uint8Array([1, 2]) },
        'content-type': { DataType: 'String', StringValue: 'text/plain' },
        'content-encoding': { DataType: 'String', StringValue: 'gzip' },
      },
    })
    expect(read).toMatchObject({
      headers: { count: '7', blob: 'AQI=', 'content-encoding': 'gzip' },
      contentType: 'text/plain',
    })
  })

  test.each(['{', '[]', '7', 'null', '{"headers":7,"delay":"x","expiresAt":-1,"key":{}}'])(
    'with the attribute %s in our place is read as if it had none',
    (StringValue) => {
      const native = {
        MessageId: 'n',
        Body: 'b',
        MessageAttributes: { msgloop: { DataType: 'String', StringValue } },
      }
      expect(decode(native)).toMatchObject({ delayMs: 0, message: { id: 'n', headers: {}, timestamp: 0 } })
    },
  )

  test('keeps its attributes and their types in a copy, and its id', () => {
    const copy = copyOf(foreign(['a', 'b']), { books: {}, delayMs: 0, keepsExpiry: false, fifo: undefined })
    expect(copy.entry.MessageAttributes).toMatchObject({ a: { DataType: 'Number', StringValue: '7' } })
    expect(decode(stored(copy)).message).toMatchObject({ id: 'native-1', headers: { a: '7', b: '7' } })
  })

  test('with all ten attributes loses none of them to our own', () => {
    const books = { 'msgloop-dead': '{}' }
    const { entry, bytes } = copyOf(foreign(TEN), { books, delayMs: 0, keepsExpiry: false, fifo: undefined })
    expect(Object.keys(entry.MessageAttributes ?? {})).toHaveLength(10)
    const { headers } = decode(stored({ entry, bytes })).message
    expect(headers).toEqual({ ...Object.fromEntries(TEN.map((name) => [name, '7'])), ...books })
  })
})

describe('a copy', () => {
  const books = { 'msgloop-attempt': '3', 'msgloop-deliveries': '5' }
  const native = stored(
    encode(message({ headers: { a: 'b', 'msgloop-replays': '1' }, expiresAt: 9 }), 86_400_000, undefined),
  )

  test('has other bookkeeping, the user`s headers, and neither expiry nor delay where it is moved', () => {
    const moved = decode(stored(copyOf(native, { books, delayMs: 0, keepsExpiry: false, fifo: undefined })))
    expect(moved.message.headers).toEqual({ a: 'b', ...books })
    expect(moved.message.expiresAt).toBeUndefined()
    expect(moved.delayMs).toBe(0)
  })

  test('goes on counting where its bookkeeping says', () => {
    const kept = copyOf(native, { books, delayMs: 0, keepsExpiry: true, fifo: undefined })
    const read = decode(stored(kept, { ApproximateReceiveCount: '2' }))
    expect(read).toMatchObject({
      before: { attempts: 2, deliveries: 5 },
      count: 2,
      message: { expiresAt: 9 },
    })
  })

  test('for a FIFO queue is one, however often it is made of the same stored message', () => {
    const { entry } = copyOf(native, { books, delayMs: 0, keepsExpiry: true, fifo: UNIQUE })
    expect(entry).toMatchObject({ MessageDeduplicationId: 'native-1', MessageGroupId: 'native-1' })
  })

  test('keeps the reserved headers it is told to', () => {
    expect(booksOf(decode(native).message.headers)).toEqual({ 'msgloop-replays': '1' })
  })
})

describe('what SQS dead-letters by itself', () => {
  const moved = stored(encode(message(), 0, undefined), {
    DeadLetterQueueSourceArn: 'arn:aws:sqs:eu-west-1:1:orders',
  })

  test('crashed too often, and names where it came from', () => {
    expect(deathOf(decode(moved), (name) => `logical ${name}`)).toEqual({
      reason: 'crash-loop',
      source: 'logical orders',
    })
  })

  test('is told apart from what the core put there', () => {
    const dead = copyOf(moved, {
      books: { 'msgloop-dead': '{}' },
      delayMs: 0,
      keepsExpiry: false,
      fifo: undefined,
    })
    expect(
      deathOf(decode(stored(dead, { DeadLetterQueueSourceArn: 'arn:x' })), (name) => name),
    ).toBeUndefined()
    expect(deathOf(decode(stored(dead)), (name) => name)).toBeUndefined()
  })
})
