import {
  BOOK_HEADERS,
  FIELD_HEADERS,
  type NativeDeath,
  RESERVED_PREFIX,
  uuidTime,
  type WireMessage,
} from '@msgloop/core/driver'
import type { Msg, MsgHdrs } from '@nats-io/transport-node'

/** How long to wait from when the server stored the message, ms. On the server's clock. */
export const DELAY_HEADER = `${RESERVED_PREFIX}delay`
/** JSON: why a driver dead-lettered the message, when no core did. */
export const DEATH_HEADER = `${RESERVED_PREFIX}native-death`
/** The server drops a second message of the same value for a while. */
export const DEDUP_HEADER = 'Nats-Msg-Id'

/** Names that other clients know these fields by. */
const NATIVE = { contentType: 'Content-Type', correlationId: 'Correlation-Id', type: 'Type' } as const
/** A user's header of such a name would be an order to the server, or one of the above. */
const TAKEN = /^(nats-.*|content-type|correlation-id|type|traceparent|tracestate)$/i
const ESCAPE = `${RESERVED_PREFIX}user-`

/** Header values are lines, and lose blanks at their ends. What is no such line travels as RFC 2047 has it. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const UNSAFE = /[\x00-\x1f\x7f]|^=\?/
const ENCODED = /^=\?utf-8\?b\?([a-z0-9+/=]*)\?=$/i

/** Read in any case of letters: clients of other languages write `content-type`. */
const FIELDS: ReadonlySet<string> = new Set(
  [...Object.values(FIELD_HEADERS), ...Object.values(NATIVE), DELAY_HEADER, DEATH_HEADER].map((name) =>
    name.toLowerCase(),
  ),
)

export type Headers = Record<string, string>
type Writable<T> = { -readonly [K in keyof T]: T[K] }

function line(value: string): string {
  if (isPlain(value)) return value
  if (!UNSAFE.test(value) && value.trim() === value) return value
  return `=?UTF-8?B?${Buffer.from(value).toString('base64')}?=`
}

/** Letters, digits and the like, as almost all values are: faster to find out than by a pattern. */
function isPlain(value: string): boolean {
  for (let at = 0; at < value.length; at++) {
    const code = value.charCodeAt(at)
    if (code <= 0x20 || code >= 0x7f || code === 0x3d) return false
  }
  return true
}

function text(value: string): string {
  const encoded = value.startsWith('=?') ? ENCODED.exec(value)?.[1] : undefined
  return encoded === undefined ? value : Buffer.from(encoded, 'base64').toString()
}

/**
 * The headers of a message as the wire has them. `message.headers` may hold the core's bookkeeping; `more`
 * are the driver's own.
 */
export function encode(message: WireMessage, more?: Readonly<Headers>): Buffer {
  let all = `NATS/1.0\r\n${FIELD_HEADERS.id}: ${line(message.id)}\r\n`
  const add = (name: string, value: string | undefined): void => {
    if (value !== undefined) all += `${name}: ${line(value)}\r\n`
  }
  for (const name in message.headers) add(TAKEN.test(name) ? ESCAPE + name : name, message.headers[name])
  if (message.timestamp > 0 && message.timestamp !== uuidTime(message.id))
    add(FIELD_HEADERS.timestamp, String(message.timestamp))
  add(NATIVE.contentType, message.contentType)
  add(NATIVE.type, message.type)
  add(NATIVE.correlationId, message.correlationId)
  add(FIELD_HEADERS.schemaVersion, message.schemaVersion)
  add(FIELD_HEADERS.causationId, message.causationId)
  add(FIELD_HEADERS.key, message.key)
  add(FIELD_HEADERS.subject, message.subject)
  add(FIELD_HEADERS.replyTo, message.replyTo)
  add(FIELD_HEADERS.lane, message.lane)
  add(FIELD_HEADERS.expiresAt, message.expiresAt?.toString())
  add(FIELD_HEADERS.traceparent, message.traceparent)
  add(FIELD_HEADERS.tracestate, message.tracestate)
  for (const name in more) add(name, more[name])
  return Buffer.from(`${all}\r\n`)
}

/** The driver's header of a message that waits, if it does. */
export const delayed = (delayMs: number): Headers =>
  delayMs > 0 ? { [DELAY_HEADER]: String(Math.ceil(delayMs)) } : {}

/** Where a message is stored, as the subject says that its acks go to. */
export interface Origin {
  /** Of this message alone, also when a stream of the same name is made anew. */
  readonly id: string
  readonly stream: string
  readonly consumer: string
  /** Hand-overs of this stored message by the server, this one included. */
  readonly handed: number
  /** When the server stored it, epoch ms on its clock. */
  readonly storedAt: number
}

/** Reads `$JS.ACK[.<domain>.<account>].<stream>.<consumer>.<handed>.<sequence>.<…>.<time>.<…>`. */
export function originOf(ackSubject: string): Origin {
  const parts = ackSubject.split('.')
  const at = parts.length > 9 ? 4 : 2
  const time = parts[at + 5] ?? ''
  const stream = parts[at] ?? ''
  return {
    id: originId(stream, parts[at + 3] ?? '', time),
    stream,
    consumer: parts[at + 1] ?? '',
    handed: Number(parts[at + 2]) || 1,
    storedAt: Number(time.slice(0, -6)) || 0,
  }
}

/** `time` is the server's, in nanoseconds. */
const originId = (stream: string, sequence: string, time: string): string => `${stream}:${sequence}:${time}`

/** The same of a message that is looked at, from the text that the server writes times as. */
export function originOfStored(
  stream: string,
  sequence: number,
  time: string,
): Pick<Origin, 'id' | 'storedAt'> {
  const storedAt = Date.parse(time)
  const fraction = /\.(\d{1,9})/.exec(time)?.[1] ?? ''
  const nanos = `${Math.floor(storedAt / 1000)}${fraction.padEnd(9, '0')}`
  return { id: originId(stream, String(sequence), nanos), storedAt }
}

/** What a stored message is to the core. Total: whatever a foreign client sent, it decodes. */
export interface Decoded {
  readonly message: WireMessage
  /** Number of the attempt that the first hand-over of this stored message is. */
  readonly attempt: number
  /** Hand-overs of earlier copies. */
  readonly deliveries: number
  readonly delayMs: number
  readonly nativeDeath?: NativeDeath
}

/** `subject` is what it was published about, where the stream is a topic's. */
export function decode(
  native: Pick<Msg, 'data'> & { readonly headers?: MsgHdrs | undefined },
  origin: Pick<Origin, 'id' | 'storedAt'>,
  subject?: string,
): Decoded {
  const { headers, fields, dedupId } = read(native)
  const field = (name: string): string | undefined => fields.get(name.toLowerCase())
  const own = field(FIELD_HEADERS.id)
  const id = own || dedupId || origin.id
  const message: Writable<WireMessage> = {
    id,
    body: native.data,
    headers,
    timestamp: count(field(FIELD_HEADERS.timestamp)) ?? ((own && uuidTime(own)) || origin.storedAt),
  }
  const contentType = field(NATIVE.contentType)
  if (contentType !== undefined) message.contentType = contentType
  const type = field(NATIVE.type)
  if (type !== undefined) message.type = type
  const correlationId = field(NATIVE.correlationId)
  if (correlationId !== undefined) message.correlationId = correlationId
  const schemaVersion = field(FIELD_HEADERS.schemaVersion)
  if (schemaVersion !== undefined) message.schemaVersion = schemaVersion
  const causationId = field(FIELD_HEADERS.causationId)
  if (causationId !== undefined) message.causationId = causationId
  const key = field(FIELD_HEADERS.key)
  if (key !== undefined) message.key = key
  const about = subject ?? field(FIELD_HEADERS.subject)
  if (about !== undefined) message.subject = about
  const replyTo = field(FIELD_HEADERS.replyTo)
  if (replyTo !== undefined) message.replyTo = replyTo
  const lane = field(FIELD_HEADERS.lane)
  if (lane === 'high' || lane === 'normal' || lane === 'low') message.lane = lane
  const expiresAt = count(field(FIELD_HEADERS.expiresAt))
  if (expiresAt !== undefined) message.expiresAt = expiresAt
  const traceparent = field(FIELD_HEADERS.traceparent)
  if (traceparent !== undefined) message.traceparent = traceparent
  const tracestate = field(FIELD_HEADERS.tracestate)
  if (tracestate !== undefined) message.tracestate = tracestate
  const nativeDeath = deathOf(field(DEATH_HEADER))
  return {
    message,
    attempt: count(headers[BOOK_HEADERS.attempt]) || 1,
    deliveries: count(headers[BOOK_HEADERS.deliveries]) ?? 0,
    delayMs: count(field(DELAY_HEADER)) ?? 0,
    ...(nativeDeath && { nativeDeath }),
  }
}

interface Read {
  readonly headers: Headers
  /** By name in small letters. */
  readonly fields: ReadonlyMap<string, string>
  readonly dedupId: string
}

function read(native: { readonly headers?: MsgHdrs | undefined }): Read {
  const headers: Headers = {}
  const fields = new Map<string, string>()
  let dedupId = ''
  for (const [name, values] of linesOf(native)) {
    const value = text(values.length === 1 ? (values[0] ?? '') : values.join(', '))
    const small = name.toLowerCase()
    if (FIELDS.has(small)) fields.set(small, value)
    else if (name === DEDUP_HEADER) dedupId = value
    else if (name.startsWith(ESCAPE)) headers[name.slice(ESCAPE.length)] = value
    else if (!name.startsWith('Nats-')) headers[name] = value
  }
  return { headers, fields, dedupId }
}

/** The library throws at names that are no header names; other clients can send them all the same. */
function linesOf(native: { readonly headers?: MsgHdrs | undefined }): Iterable<[string, string[]]> {
  try {
    return native.headers ?? []
  } catch {
    return []
  }
}

/** The message without what the core or the driver noted about it, and with `books` instead. */
export function withBooks(message: WireMessage, books: Readonly<Headers>): WireMessage {
  const headers: Headers = {}
  for (const [name, value] of Object.entries(message.headers))
    if (!name.startsWith(RESERVED_PREFIX)) headers[name] = value
  return { ...message, headers: { ...headers, ...books }, expiresAt: undefined }
}

function count(value: string | undefined): number | undefined {
  if (value === undefined || value === '') return undefined
  const number = Number(value)
  return Number.isFinite(number) && number >= 0 ? number : undefined
}

function deathOf(header: string | undefined): NativeDeath | undefined {
  if (header === undefined) return undefined
  const [source, at] = header.split(' ')
  return {
    reason: 'crash-loop',
    ...(source ? { source } : {}),
    ...(Number(at) > 0 ? { at: Number(at) } : {}),
  }
}
