import {
  BOOK_HEADERS,
  type DeadReason,
  FIELD_HEADERS,
  type Lane,
  type NativeDeath,
  RESERVED_PREFIX,
  uuidTime,
  type WireMessage,
} from '@msgloop/core/driver'
import { type Entry, readerOf } from './entry.js'

/** Fields with names of their own, as any client would choose them. The others are named by `FIELD_HEADERS`. */
const NAMES = {
  ...FIELD_HEADERS,
  id: 'id',
  contentType: 'content-type',
  type: 'type',
  correlationId: 'correlation-id',
  replyTo: 'reply-to',
  timestamp: 'timestamp',
} as const
const BODY = 'body'
/** Of what the driver itself dead-lettered: JSON of a `NativeDeath`. */
const DEATH = `${RESERVED_PREFIX}death`
/** A user's header that is named as a field travels under this prefix. `:` is in no name that msgloop allows. */
const ESCAPE = 'header:'

const TAKEN: ReadonlySet<string> = new Set([...Object.values(NAMES), BODY])
/** Fields that are texts as they are. */
const TEXTS = new Map(
  (
    [
      'type',
      'schemaVersion',
      'correlationId',
      'causationId',
      'key',
      'subject',
      'replyTo',
      'traceparent',
      'tracestate',
    ] as const
  ).map((field) => [NAMES[field] as string, field]),
)
const LANES: readonly Lane[] = ['high', 'normal', 'low']
/** Stands for one that is not there. */
const NO_BODY = Buffer.alloc(0)
const REASONS: readonly DeadReason[] = [
  'exhausted',
  'rejected',
  'undecodable',
  'invalid',
  'expired',
  'crash-loop',
]

type Writable<T> = { -readonly [K in keyof T]: T[K] }

/** A message as the fields of an entry. */
export const encode = (message: WireMessage): readonly (string | Uint8Array)[] => [
  NAMES.id,
  message.id,
  BODY,
  message.body,
  ...encodeRest(message),
]

/** All fields but id and body. */
export function encodeRest(message: WireMessage): readonly string[] {
  const fields: string[] = []
  if (message.contentType !== undefined) fields.push(NAMES.contentType, message.contentType)
  if (message.timestamp !== (uuidTime(message.id) || 0))
    fields.push(NAMES.timestamp, String(message.timestamp))
  if (message.type !== undefined) fields.push(NAMES.type, message.type)
  if (message.schemaVersion !== undefined) fields.push(NAMES.schemaVersion, message.schemaVersion)
  if (message.correlationId !== undefined) fields.push(NAMES.correlationId, message.correlationId)
  if (message.causationId !== undefined) fields.push(NAMES.causationId, message.causationId)
  if (message.key !== undefined) fields.push(NAMES.key, message.key)
  if (message.subject !== undefined) fields.push(NAMES.subject, message.subject)
  if (message.replyTo !== undefined) fields.push(NAMES.replyTo, message.replyTo)
  if (message.lane !== undefined) fields.push(NAMES.lane, message.lane)
  if (message.expiresAt !== undefined) fields.push(NAMES.expiresAt, String(message.expiresAt))
  if (message.traceparent !== undefined) fields.push(NAMES.traceparent, message.traceparent)
  if (message.tracestate !== undefined) fields.push(NAMES.tracestate, message.tracestate)
  for (const name in message.headers)
    fields.push(TAKEN.has(name) ? ESCAPE + name : name, message.headers[name] ?? '')
  return fields
}

/** What an entry is to the core. */
export interface Decoded {
  readonly message: WireMessage
  readonly deliveries: number
  readonly nativeDeath?: NativeDeath
}

/** Total: whatever a foreign client wrote, it decodes. `handedOver` is how often this entry was. */
export function decode(entry: Entry, handedOver: number): Decoded {
  const headers: Record<string, string> = {}
  const message: Writable<WireMessage> = { id: entry.id, body: NO_BODY, headers, timestamp: 0 }
  let timestamp: number | undefined
  let nativeDeath: NativeDeath | undefined
  const reader = readerOf(entry)
  while (reader.next()) {
    const name = reader.name()
    switch (name) {
      case NAMES.id:
        message.id = reader.text() || entry.id
        break
      case BODY:
        message.body = reader.bytes()
        break
      case NAMES.contentType:
        message.contentType = reader.text()
        break
      case NAMES.timestamp:
        timestamp = number(reader.text())
        break
      case NAMES.lane: {
        const text = reader.text()
        message.lane = LANES.find((lane) => lane === text)
        break
      }
      case NAMES.expiresAt:
        message.expiresAt = number(reader.text())
        break
      case DEATH:
        nativeDeath = deathOf(reader.text())
        break
      default: {
        const field = TEXTS.get(name)
        if (field) message[field] = reader.text()
        else headers[name.startsWith(ESCAPE) ? name.slice(ESCAPE.length) : name] = reader.text()
      }
    }
  }
  message.timestamp = timestamp ?? (uuidTime(message.id) || 0)
  if (message.body === NO_BODY) {
    message.body = bodyOf(headers)
    message.contentType ??= 'application/json'
  }
  const deliveries = (number(headers[BOOK_HEADERS.deliveries]) ?? 0) + handedOver
  return nativeDeath ? { message, deliveries, nativeDeath } : { message, deliveries }
}

/** What a copy of an entry differs in. */
export interface Change {
  /** Names of fields to leave out. */
  readonly without: readonly string[]
  /** Names and values, by turns, to add. */
  readonly more: readonly string[]
}

/**
 * The copy for a retry or a move: all fields of the original, whoever wrote it, but with `books` in
 * place of the core's earlier bookkeeping, and with the id it had where it named none.
 */
export function changeFor(
  { id, fields }: Entry,
  books: Readonly<Record<string, string>>,
  kind: 'retry' | 'move',
): Change {
  const without = new Set<string>()
  let named = false
  for (let at = 0; at < fields.length; at += 2) {
    const name = fields[at]?.toString() ?? ''
    if (name === NAMES.id && fields[at + 1]?.length) named = true
    if (isBook(name) || Object.hasOwn(books, name)) without.add(name)
  }
  if (!named) without.add(NAMES.id)
  if (kind === 'move') without.add(NAMES.expiresAt)
  const more = Object.entries(books).flat()
  return { without: [...without], more: named ? more : [NAMES.id, id, ...more] }
}

/** Headers of an entry that was handed over again and again, and never settled. */
export const deathHeaders = (
  source: string,
  deliveries: number,
  at: number,
): Readonly<Record<string, string>> => ({
  [DEATH]: JSON.stringify({ reason: 'crash-loop', source, at } satisfies NativeDeath),
  [BOOK_HEADERS.deliveries]: String(deliveries),
})

const isBook = (name: string): boolean => name.startsWith(RESERVED_PREFIX) && !TAKEN.has(name)

/** Streams are often written without any one field that is the body: then all of them are. */
function bodyOf(headers: Readonly<Record<string, string>>): Buffer {
  const own = Object.entries(headers).filter(([name]) => !name.startsWith(RESERVED_PREFIX))
  return Buffer.from(JSON.stringify(Object.fromEntries(own)))
}

function number(text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined
  const parsed = Number(text)
  return Number.isFinite(parsed) ? parsed : undefined
}

function deathOf(text: string | undefined): NativeDeath | undefined {
  if (text === undefined) return undefined
  try {
    const death: unknown = JSON.parse(text)
    if (typeof death !== 'object' || death === null) return undefined
    const reason = 'reason' in death ? REASONS.find((each) => each === death.reason) : undefined
    const source = 'source' in death && typeof death.source === 'string' ? death.source : undefined
    const at = 'at' in death && typeof death.at === 'number' ? death.at : undefined
    return {
      reason: reason ?? 'rejected',
      ...(source === undefined ? {} : { source }),
      ...(at === undefined ? {} : { at }),
    }
  } catch {
    return undefined
  }
}
