import { isUtf8 } from 'node:buffer'
import type { Message, MessageAttributeValue, SendMessageBatchRequestEntry } from '@aws-sdk/client-sqs'
import {
  BOOK_HEADERS,
  type NativeDeath,
  RESERVED_PREFIX,
  uuidTime,
  type WireMessage,
} from '@msgloop/core/driver'
import { SEND_DELAY_MS } from './delay.js'
import { copiedIds, type Fifo, type FifoIds, sentIds } from './fifo.js'
import { SUBJECT_ATTRIBUTE } from './filter-policy.js'

type Writable<T> = { -readonly [K in keyof T]: T[K] }
export type Headers = Readonly<Record<string, string>>
type Attributes = Record<string, MessageAttributeValue>

/** Fields that foreign clients see and can set, each as an attribute of its own. */
const FIELD_ATTRIBUTES = {
  id: 'message-id',
  contentType: 'content-type',
  type: 'type',
  correlationId: 'correlation-id',
  replyTo: 'reply-to',
  subject: SUBJECT_ATTRIBUTE,
  traceparent: 'traceparent',
  tracestate: 'tracestate',
} as const
type NativeField = keyof typeof FIELD_ATTRIBUTES
const NATIVE_FIELDS: readonly NativeField[] = [
  'id',
  'contentType',
  'type',
  'correlationId',
  'replyTo',
  'subject',
  'traceparent',
  'tracestate',
]

/** Everything else, as JSON. Another layout would be another name. */
const REST = 'msgloop'
const ENCODING = 'content-encoding'
const BASE64 = 'base64'
/** An empty body, as no request can have one: it decodes to no bytes. */
const EMPTY = '='
const MOST_ATTRIBUTES = 10

/** What XML 1.0 cannot hold, SQS refuses, in bodies and in attributes. */
const NOT_XML = /[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u

/** The attribute `msgloop`: fields without an attribute of their own, headers, and the core's bookkeeping. */
interface Rest {
  headers?: Record<string, string>
  id?: string
  contentType?: string
  type?: string
  correlationId?: string
  replyTo?: string
  subject?: string
  traceparent?: string
  tracestate?: string
  schemaVersion?: string
  causationId?: string
  key?: string
  lane?: string
  timestamp?: number
  expiresAt?: number
  /** Ms from when SQS stored it, where `DelaySeconds` does not reach. */
  delay?: number
}

/** An entry of a batch without its id, and its size as SQS counts. */
export interface Encoded {
  readonly entry: Omit<SendMessageBatchRequestEntry, 'Id'>
  readonly bytes: number
}

/** A message for a queue. FIFO queues know neither a delay of one message nor a message without a group. */
export function encode(message: WireMessage, delayMs: number, fifo: Fifo | undefined): Encoded {
  const attributes: Attributes = {}
  const rest: Rest = {}
  for (const field of NATIVE_FIELDS) {
    const value = message[field]
    if (value === undefined) continue
    if (value !== '' && !NOT_XML.test(value)) attributes[FIELD_ATTRIBUTES[field]] = string(value)
    else rest[field] = value
  }
  if (Object.keys(message.headers).length > 0) rest.headers = { ...message.headers }
  if (message.schemaVersion !== undefined) rest.schemaVersion = message.schemaVersion
  if (message.causationId !== undefined) rest.causationId = message.causationId
  if (message.key !== undefined) rest.key = message.key
  if (message.lane !== undefined) rest.lane = message.lane
  if (message.timestamp > 0 && message.timestamp !== uuidTime(message.id)) rest.timestamp = message.timestamp
  if (message.expiresAt !== undefined) rest.expiresAt = message.expiresAt
  const { body } = message
  const text = textOf(body)
  if (text === undefined) attributes[ENCODING] = string(BASE64)
  const ids = fifo && sentIds(fifo, message, delayMs)
  return seal(text ?? (base64(body) || EMPTY), attributes, rest, delayMs, ids)
}

export interface Copying {
  /** The reserved headers of the copy. */
  readonly books: Headers
  readonly delayMs: number
  readonly keepsExpiry: boolean
  /** Of the queue that the copy goes to. */
  readonly fifo: Fifo | undefined
}

/** A stored message once more: all of it, whoever sent it, with other bookkeeping. */
export function copyOf(native: Message, { books, delayMs, keepsExpiry, fifo }: Copying): Encoded {
  const { [REST]: _, [SUBJECT_ATTRIBUTE]: subject, ...attributes } = native.MessageAttributes ?? {}
  const { delay: __, expiresAt, ...kept } = restOf(native)
  const rest: Rest = { ...kept, headers: { ...userHeaders(kept.headers ?? {}), ...books } }
  if (keepsExpiry && expiresAt !== undefined) rest.expiresAt = expiresAt
  // Its id was SQS's own, which the copy will not have; and the key of a foreign message is its group.
  const { id, key } = decode(native).message
  if (!attributes[FIELD_ATTRIBUTES.id]) rest.id = id
  if (key !== undefined) rest.key = key
  // As an attribute it says that a topic put the message here, which is not true of a copy.
  if (subject) rest.subject = textOfAttribute(subject)
  fold(attributes, rest)
  const ids = fifo && copiedIds(fifo, { id, key }, delayMs, native.MessageId ?? '')
  return seal(native.Body ?? '', attributes, rest, delayMs, ids)
}

/** A foreign message may have all ten attributes; then one of them becomes a header like ours. */
function fold(attributes: Attributes, rest: Rest): void {
  const names = Object.keys(attributes)
  if (names.length < MOST_ATTRIBUTES) return
  const own = new Set<string>([...Object.values(FIELD_ATTRIBUTES), ENCODING])
  const name = names.findLast((each) => !own.has(each)) ?? ''
  rest.headers = { [name]: textOfAttribute(attributes[name]), ...rest.headers }
  delete attributes[name]
}

function seal(
  MessageBody: string,
  attributes: Attributes,
  rest: Rest,
  delayMs: number,
  ids: FifoIds | undefined,
): Encoded {
  const beyond = ids ? delayMs > 0 : delayMs > SEND_DELAY_MS
  if (beyond) rest.delay = delayMs
  if (Object.keys(rest).length > 0) attributes[REST] = string(jsonOf(rest))
  let bytes = Buffer.byteLength(MessageBody)
  for (const name in attributes) {
    const { DataType, StringValue, BinaryValue } = attributes[name] ?? {}
    bytes += name.length + (DataType?.length ?? 0) + Buffer.byteLength(StringValue ?? BinaryValue ?? '')
  }
  return {
    bytes,
    entry: {
      MessageBody,
      MessageAttributes: attributes,
      ...(ids ?? (delayMs > 0 && { DelaySeconds: Math.ceil(Math.min(delayMs, SEND_DELAY_MS) / 1_000) })),
    },
  }
}

/** What a native message is to the core. Total: whatever a foreign client sent, it decodes. */
export interface Decoded {
  readonly message: WireMessage
  /** Hand-overs and attempts before this stored message was stored. */
  readonly before: { readonly deliveries: number; readonly attempts: number }
  /** Receipts of this stored message. */
  readonly count: number
  readonly delayMs: number
  /** The subject of a message that came from a topic, and is no copy. */
  readonly published: string | undefined
  /** Epoch ms by the broker's clock. */
  readonly storedAt: number
  /** Name of the queue from which the broker moved it here by itself. */
  readonly movedFrom: string | undefined
}

export function decode(native: Message): Decoded {
  const rest = restOf(native)
  const headers: Record<string, string> = {}
  const fields: Partial<Record<NativeField, string>> = {}
  for (const [name, attribute] of Object.entries(native.MessageAttributes ?? {})) {
    if (name === REST) continue
    const field = NATIVE_FIELDS.find((each) => FIELD_ATTRIBUTES[each] === name)
    const value = textOfAttribute(attribute)
    if (field) fields[field] = value
    else if (name !== ENCODING || value !== BASE64) headers[name] = value
  }
  Object.assign(headers, rest.headers)
  const encoded = native.MessageAttributes?.[ENCODING]?.StringValue === BASE64
  const ours = fields.id ?? rest.id
  const id = ours ?? native.MessageId ?? ''
  const message: Writable<WireMessage> = {
    id,
    body: Buffer.from(native.Body ?? '', encoded ? 'base64' : 'utf8'),
    headers,
    timestamp: rest.timestamp ?? (uuidTime(id) || 0),
  }
  for (const field of NATIVE_FIELDS) {
    const value = field === 'id' ? undefined : (fields[field] ?? rest[field])
    if (value !== undefined) message[field] = value
  }
  if (rest.schemaVersion !== undefined) message.schemaVersion = rest.schemaVersion
  if (rest.causationId !== undefined) message.causationId = rest.causationId
  const key = rest.key ?? (ours === undefined ? native.Attributes?.MessageGroupId : undefined)
  if (key !== undefined) message.key = key
  const { lane } = rest
  if (lane === 'high' || lane === 'normal' || lane === 'low') message.lane = lane
  if (rest.expiresAt !== undefined) message.expiresAt = rest.expiresAt
  const system = native.Attributes ?? {}
  return {
    message,
    before: {
      deliveries: whole(headers[BOOK_HEADERS.deliveries]),
      attempts: Math.max(1, whole(headers[BOOK_HEADERS.attempt])) - 1,
    },
    count: Math.max(1, whole(system.ApproximateReceiveCount)),
    delayMs: rest.delay ?? 0,
    published: fields.subject,
    storedAt: whole(system.SentTimestamp),
    movedFrom: system.DeadLetterQueueSourceArn?.replace(/^.*:/, ''),
  }
}

/** Why the broker dead-lettered a message by itself: there is but one reason. */
export function deathOf(
  { movedFrom, message }: Decoded,
  nameOf: (name: string) => string,
): NativeDeath | undefined {
  if (movedFrom === undefined || message.headers[BOOK_HEADERS.dead] !== undefined) return undefined
  return { reason: 'crash-loop', source: nameOf(movedFrom) }
}

/** The reserved ones among the headers. */
export function booksOf(headers: Headers): Headers {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith(RESERVED_PREFIX)))
}

function userHeaders(headers: Headers): Headers {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !name.startsWith(RESERVED_PREFIX)))
}

/** What a foreign hand has mangled is read as absent. */
function restOf({ MessageAttributes }: Message): Rest {
  const given = parse(MessageAttributes?.[REST]?.StringValue)
  const rest: Writable<Rest> = {}
  for (const field of [...NATIVE_FIELDS, 'schemaVersion', 'causationId', 'key', 'lane'] as const) {
    const value = given[field]
    if (typeof value === 'string') rest[field] = value
  }
  for (const field of ['timestamp', 'expiresAt', 'delay'] as const) {
    const value = given[field]
    if (typeof value === 'number' && Number.isFinite(value) && value >= 0) rest[field] = value
  }
  const { headers } = given
  if (typeof headers === 'object' && headers !== null)
    rest.headers = Object.fromEntries(
      Object.entries(headers).filter((pair): pair is [string, string] => typeof pair[1] === 'string'),
    )
  return rest
}

function parse(json: string | undefined): Readonly<Record<string, unknown>> {
  if (json === undefined) return {}
  try {
    const value: unknown = JSON.parse(json)
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}

/** JSON escapes all but two of the characters that SQS refuses. */
const jsonOf = (rest: Rest): string =>
  JSON.stringify(rest).replace(/[\uFFFE\uFFFF]/g, (c) => `\\u${c.charCodeAt(0).toString(16)}`)

function textOf(body: Uint8Array): string | undefined {
  if (body.byteLength === 0 || !isUtf8(body)) return undefined
  const text = buffer(body).toString('utf8')
  return NOT_XML.test(text) ? undefined : text
}

const base64 = (body: Uint8Array): string => buffer(body).toString('base64')

const buffer = (body: Uint8Array): Buffer =>
  Buffer.isBuffer(body) ? body : Buffer.from(body.buffer, body.byteOffset, body.byteLength)

const string = (StringValue: string): MessageAttributeValue => ({ DataType: 'String', StringValue })

function textOfAttribute(attribute: MessageAttributeValue | undefined): string {
  const { StringValue, BinaryValue } = attribute ?? {}
  return StringValue ?? (BinaryValue ? base64(BinaryValue) : '')
}

function whole(text: string | undefined): number {
  const value = Number(text ?? 0)
  return Number.isSafeInteger(value) && value > 0 ? value : 0
}
