import {
  BOOK_HEADERS,
  type DeadReason,
  FIELD_HEADERS,
  type NativeDeath,
  RESERVED_PREFIX,
  type WireMessage,
} from '@msgloop/core/driver'

/** An entry of a stream: names and values by turns. */
export interface Entry {
  readonly id: string
  readonly fields: readonly Buffer[]
}

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
export function encode(message: WireMessage): readonly (string | Uint8Array)[] {
  const fields: (string | Uint8Array)[] = [NAMES.id, message.id, BODY, message.body]
  if (message.contentType !== undefined) fields.push(NAMES.contentType, message.contentType)
  if (message.timestamp !== (uuidTime(message.id) ?? 0))
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
  const own = new Map<string, string>()
  let body: Buffer | undefined
  for (let at = 0; at + 1 < entry.fields.length; at += 2) {
    const name = entry.fields[at]?.toString() ?? ''
    const value = entry.fields[at + 1] ?? Buffer.alloc(0)
    if (name === BODY) body = value
    else if (TAKEN.has(name) || name === DEATH) own.set(name, value.toString())
    else headers[name.startsWith(ESCAPE) ? name.slice(ESCAPE.length) : name] = value.toString()
  }
  const id = own.get(NAMES.id) || entry.id
  const message: Writable<WireMessage> = {
    id,
    body: body ?? bodyOf(headers),
    headers,
    timestamp: number(own.get(NAMES.timestamp)) ?? uuidTime(id) ?? 0,
  }
  const contentType = own.get(NAMES.contentType)
  if (contentType !== undefined) message.contentType = contentType
  else if (body === undefined) message.contentType = 'application/json'
  const type = own.get(NAMES.type)
  if (type !== undefined) message.type = type
  const schemaVersion = own.get(NAMES.schemaVersion)
  if (schemaVersion !== undefined) message.schemaVersion = schemaVersion
  const correlationId = own.get(NAMES.correlationId)
  if (correlationId !== undefined) message.correlationId = correlationId
  const causationId = own.get(NAMES.causationId)
  if (causationId !== undefined) message.causationId = causationId
  const key = own.get(NAMES.key)
  if (key !== undefined) message.key = key
  const subject = own.get(NAMES.subject)
  if (subject !== undefined) message.subject = subject
  const replyTo = own.get(NAMES.replyTo)
  if (replyTo !== undefined) message.replyTo = replyTo
  const lane = own.get(NAMES.lane)
  if (lane === 'high' || lane === 'normal' || lane === 'low') message.lane = lane
  const expiresAt = number(own.get(NAMES.expiresAt))
  if (expiresAt !== undefined) message.expiresAt = expiresAt
  const traceparent = own.get(NAMES.traceparent)
  if (traceparent !== undefined) message.traceparent = traceparent
  const tracestate = own.get(NAMES.tracestate)
  if (tracestate !== undefined) message.tracestate = tracestate
  const deliveries = (number(headers[BOOK_HEADERS.deliveries]) ?? 0) + handedOver
  const nativeDeath = deathOf(own.get(DEATH))
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

/** Epoch ms in a UUIDv7, as the ids that the core makes. */
function uuidTime(id: string): number | undefined {
  if (id.length !== 36 || id[14] !== '7' || id[8] !== '-' || id[13] !== '-') return undefined
  const ms = Number(`0x${id.slice(0, 8)}${id.slice(9, 13)}`)
  return Number.isNaN(ms) ? undefined : ms
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
