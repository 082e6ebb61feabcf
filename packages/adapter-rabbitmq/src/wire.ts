import { createHash } from 'node:crypto'
import {
  BOOK_HEADERS,
  type DeadReason,
  FIELD_HEADERS,
  type NativeDeath,
  RESERVED_PREFIX,
  uuidTime,
  type WireMessage,
} from '@msgloop/core/driver'
import type { Message, Options } from 'amqplib'
import { isLevel, OWN_PREFIX } from './delay.js'
import { PARTITION_HEADER, partitionHeader } from './partitions.js'

/** What the broker writes itself. Sent back to it, ≤ 3.13 would take it for a cycle of dead letters and drop. */
const BROKER_HEADER = /^(x-death|x-(first|last)-death-.*|x-delivery-count|x-acquired-count|CC|BCC)$/

/** Ten years. The broker closes the channel over more; then only the header tells. */
const LONGEST_EXPIRATION_MS = 315_360_000_000

/**
 * A user's header of such a name travels under this prefix: `CC` would send the message elsewhere too,
 * and `x-death` be taken for the broker's own.
 */
const ESCAPE = `${RESERVED_PREFIX}user-`

const FIELDS: ReadonlySet<string> = new Set([...Object.values(FIELD_HEADERS), PARTITION_HEADER])
const BOOKS: ReadonlySet<string> = new Set(Object.values(BOOK_HEADERS))

type Writable<T> = { -readonly [K in keyof T]: T[K] }

/** How a message travels: straight to its queue, by way of the delay queues, to a topic, or as an answer. */
export type Way = 'queue' | 'delay' | 'topic' | 'reply'

/** A message as AMQP properties. In a delay queue `expiration` would cut the delay short, so it is left out. */
export function encode(message: WireMessage, way: Way, now: number): Options.Publish {
  const headers: Record<string, string> = {}
  for (const name in message.headers)
    headers[BROKER_HEADER.test(name) ? ESCAPE + name : name] = message.headers[name] ?? ''
  if (message.timestamp > 0 && message.timestamp !== uuidTime(message.id))
    headers[FIELD_HEADERS.timestamp] = String(message.timestamp)
  const properties: Options.Publish = {
    persistent: way !== 'reply',
    // A topic without a subscription takes messages, too, and who waited for an answer may be gone.
    mandatory: way === 'queue' || way === 'delay',
    headers,
    messageId: message.id,
  }
  if (message.timestamp > 0) properties.timestamp = Math.floor(message.timestamp / 1000)
  if (message.contentType !== undefined) {
    if (isShort(message.contentType)) properties.contentType = message.contentType
    else headers[FIELD_HEADERS.contentType] = message.contentType
  }
  if (message.type !== undefined) {
    if (isShort(message.type)) properties.type = message.type
    else headers[FIELD_HEADERS.type] = message.type
  }
  if (message.correlationId !== undefined) {
    if (isShort(message.correlationId)) properties.correlationId = message.correlationId
    else headers[FIELD_HEADERS.correlationId] = message.correlationId
  }
  if (message.replyTo !== undefined) {
    if (isShort(message.replyTo)) properties.replyTo = message.replyTo
    else headers[FIELD_HEADERS.replyTo] = message.replyTo
  }
  // To a topic it is the routing key.
  if (way === 'topic') headers[PARTITION_HEADER] = partitionHeader(message)
  else if (message.subject !== undefined) headers[FIELD_HEADERS.subject] = message.subject
  if (message.schemaVersion !== undefined) headers[FIELD_HEADERS.schemaVersion] = message.schemaVersion
  if (message.causationId !== undefined) headers[FIELD_HEADERS.causationId] = message.causationId
  if (message.key !== undefined) headers[FIELD_HEADERS.key] = message.key
  if (message.lane !== undefined) headers[FIELD_HEADERS.lane] = message.lane
  if (message.traceparent !== undefined) headers[FIELD_HEADERS.traceparent] = message.traceparent
  if (message.tracestate !== undefined) headers[FIELD_HEADERS.tracestate] = message.tracestate
  if (message.expiresAt !== undefined) {
    headers[FIELD_HEADERS.expiresAt] = String(message.expiresAt)
    if (way !== 'delay') setExpiration(properties, message.expiresAt, now)
  }
  return properties
}

/** What a native message is to the core. Total: whatever a foreign client sent, it decodes. */
export interface Decoded {
  readonly message: WireMessage
  readonly deliveries: number
  readonly nativeDeath?: NativeDeath
}

export function decode(native: Message): Decoded {
  const { properties, content } = native
  const all: Readonly<Record<string, unknown>> = properties.headers ?? {}
  const headers: Record<string, string> = {}
  for (const name of Object.keys(all))
    if (!FIELDS.has(name) && !BROKER_HEADER.test(name))
      headers[name.startsWith(ESCAPE) ? name.slice(ESCAPE.length) : name] = text(all[name])
  const field = (name: keyof typeof FIELD_HEADERS, property?: unknown): string | undefined => {
    const value = all[FIELD_HEADERS[name]] ?? property
    return value === undefined ? undefined : text(value)
  }
  const id = idOf(native)
  const message: Writable<WireMessage> = {
    id,
    body: content,
    headers,
    timestamp: number(all[FIELD_HEADERS.timestamp]) ?? timeOf(number(properties.timestamp), id),
  }
  const contentType = field('contentType', properties.contentType)
  if (contentType !== undefined) message.contentType = contentType
  const type = field('type', properties.type)
  if (type !== undefined) message.type = type
  const correlationId = field('correlationId', properties.correlationId)
  if (correlationId !== undefined) message.correlationId = correlationId
  const replyTo = field('replyTo', properties.replyTo)
  if (replyTo !== undefined) message.replyTo = replyTo
  const subject = subjectOf(native)
  if (subject !== undefined) message.subject = subject
  const schemaVersion = field('schemaVersion')
  if (schemaVersion !== undefined) message.schemaVersion = schemaVersion
  const causationId = field('causationId')
  if (causationId !== undefined) message.causationId = causationId
  const key = field('key')
  if (key !== undefined) message.key = key
  const lane = all[FIELD_HEADERS.lane]
  if (lane === 'high' || lane === 'normal' || lane === 'low') message.lane = lane
  const traceparent = field('traceparent')
  if (traceparent !== undefined) message.traceparent = traceparent
  const tracestate = field('tracestate')
  if (tracestate !== undefined) message.tracestate = tracestate

  const deliveries =
    (number(all[BOOK_HEADERS.deliveries]) ?? 0) +
    1 +
    // `x-acquired-count` first: from 4.3 on `x-delivery-count` leaves out what was only given back.
    (number(all['x-acquired-count']) ??
      number(all['x-delivery-count']) ??
      (native.fields.redelivered ? 1 : 0))
  const nativeDeath = deathOf(all['x-death'])
  if (nativeDeath) return { message, deliveries, nativeDeath }
  // A dead letter no longer expires: the broker took `expiration` off, here the header is left out.
  const expiresAt = number(all[FIELD_HEADERS.expiresAt])
  if (expiresAt !== undefined) message.expiresAt = expiresAt
  return { message, deliveries }
}

/**
 * Properties of a copy for a retry or a move: all of the original, whoever sent it, but the broker's
 * own headers, and with `books` in place of the core's earlier bookkeeping. `userId` is left out, as
 * the broker closes the channel of who sends in another user's name.
 */
export function copyOf(
  native: Message,
  books: Readonly<Record<string, string>>,
  expiry: 'direct' | 'header' | 'none',
  now: number,
): Options.Publish {
  const { userId: _, clusterId: __, deliveryMode: ___, expiration: ____, ...kept } = native.properties
  const headers: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(native.properties.headers ?? {}))
    if (!BROKER_HEADER.test(name) && !isBook(name)) headers[name] = value
  Object.assign(headers, books)
  const subject = subjectOf(native)
  if (subject !== undefined) headers[FIELD_HEADERS.subject] = subject
  const properties: Options.Publish = {
    ...kept,
    persistent: true,
    mandatory: true,
    headers,
  }
  const id = idOf(native)
  if (isShort(id)) properties.messageId = id
  const expiresAt = number(headers[FIELD_HEADERS.expiresAt])
  if (expiry === 'none') delete headers[FIELD_HEADERS.expiresAt]
  else if (expiry === 'direct' && expiresAt !== undefined) setExpiration(properties, expiresAt, now)
  return properties
}

/**
 * AMQP has whole seconds. The milliseconds of most messages are in their id, a UUIDv7; a header for
 * them would make each message several microseconds dearer.
 */
function timeOf(seconds: number | undefined, id: string): number {
  if (seconds === undefined) return 0
  const ms = uuidTime(id)
  return Math.floor(ms / 1000) === seconds ? ms : seconds * 1000
}

/** The routing key it was published to an exchange with, also if the broker has dead-lettered it since. */
function subjectOf({ fields, properties }: Message): string | undefined {
  const header: unknown = properties.headers?.[FIELD_HEADERS.subject]
  if (header !== undefined) return text(header)
  if (isForeign(fields.exchange)) return fields.routingKey || undefined
  const deaths: unknown = properties.headers?.['x-death']
  if (!Array.isArray(deaths)) return undefined
  const first: unknown = deaths.findLast((entry: unknown) => isTable(entry) && isForeign(entry.exchange))
  const keys = isTable(first) ? first['routing-keys'] : undefined
  return Array.isArray(keys) && keys.length > 0 ? text(keys[0]) : undefined
}

/** Neither the default exchange nor one of the delays'. */
const isForeign = (exchange: unknown): boolean =>
  typeof exchange === 'string' && exchange !== '' && !exchange.startsWith(OWN_PREFIX)

const isBook = (name: string): boolean =>
  BOOKS.has(name) || (name.startsWith(RESERVED_PREFIX) && !FIELDS.has(name) && !name.startsWith(ESCAPE))

function setExpiration(properties: Options.Publish, expiresAt: number, now: number): void {
  const left = Math.max(0, Math.ceil(expiresAt - now))
  if (left <= LONGEST_EXPIRATION_MS) properties.expiration = String(left)
}

/**
 * AMQP has no id of its own. A foreign message without one gets a digest of what it is, as only that
 * stays the same when it is delivered again; two that are equal in every way share it.
 */
function idOf(native: Message): string {
  const given = native.properties.headers?.[FIELD_HEADERS.id] ?? native.properties.messageId
  if (given !== undefined && given !== '') return text(given)
  const { messageId: _, headers, deliveryMode: __, ...properties } = native.properties
  // Sorted: the broker sorts them too, but not before the first dead-lettering.
  const names = Object.keys(headers ?? {}).filter((name) => !BROKER_HEADER.test(name) && !isBook(name))
  const own = names.sort().map((name) => [name, headers?.[name]])
  const hash = createHash('sha256')
    .update(native.content)
    .update(text([properties, own]))
  return `amqp-${hash.digest('hex').slice(0, 32)}`
}

const REASONS: Readonly<Record<string, DeadReason>> = {
  expired: 'expired',
  delivery_limit: 'crash-loop',
  rejected: 'rejected',
  maxlen: 'exhausted',
}

/** The newest entry of `x-death` that is not a hop of a delay. */
function deathOf(deaths: unknown): NativeDeath | undefined {
  if (!Array.isArray(deaths)) return undefined
  const death: unknown = deaths.find((entry: unknown) => isTable(entry) && !isLevel(entry.queue))
  if (!isTable(death)) return undefined
  const reason = REASONS[text(death.reason)] ?? 'rejected'
  const time = isTable(death.time) ? number(death.time.value) : undefined
  return {
    reason,
    ...(death.queue === undefined ? {} : { source: text(death.queue) }),
    ...(time === undefined ? {} : { at: time * 1000 }),
  }
}

const isTable = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null

/** A short string of AMQP holds 255 bytes; no UTF-16 unit takes more than three. */
const isShort = (value: string): boolean => value.length <= 85 || Buffer.byteLength(value) <= 255

function number(value: unknown): number | undefined {
  if (value === undefined || value === null || value === '') return undefined
  const parsed = Number(value)
  return Number.isFinite(parsed) ? parsed : undefined
}

/** Any value of an AMQP table as text. */
function text(value: unknown): string {
  if (typeof value === 'string') return value
  if (Buffer.isBuffer(value)) return value.toString()
  if (!isTable(value)) return value === null ? '' : String(value)
  if (value['!'] === 'timestamp') return text(value.value)
  try {
    return JSON.stringify(value)
  } catch {
    return String(value)
  }
}
