import type { AttemptRecord, ErrorRecord } from './dead-letters.js'
import type { DeadReason, Delivery, Lane } from './driver.js'
import { BOOK_HEADERS, RESERVED_PREFIX } from './headers.js'

/** What the core keeps about a message between attempts, in its reserved headers. */
export interface Book {
  readonly attempt: number
  readonly deliveries: number
  /** Epoch ms. */
  readonly firstAttemptAt: number | undefined
  /** Failed handler runs in all, those of before a replay and those cut from `records` included. */
  readonly total: number
  readonly records: readonly AttemptRecord[]
  readonly replays: number
  /** A canary waits for the outcome of this replay. */
  readonly canary: boolean
  /** Ids of the dead letters it was edited from, the latest first. */
  readonly editedFrom: readonly string[]
  /** Where the queue has lanes. */
  readonly lane?: Lane | undefined
  /** Present on entries of a dead-letter queue that the core put there. */
  readonly dead: DeadRecord | undefined
}

export interface DeadRecord {
  readonly reason: DeadReason
  readonly source: string
  /** Of a subscription: its topic. */
  readonly topic?: string
  readonly at: number
  readonly firstAttemptAt?: number
  readonly deliveries: number
  readonly error?: ErrorRecord
}

/** Says that a canary waits for what becomes of this message. */
export const CANARY_HEADERS: Readonly<Record<string, string>> = Object.freeze({ [BOOK_HEADERS.canary]: '1' })

const MAX_HISTORY_BYTES = 8_192
const MAX_STACK_BYTES = 4_096
const KEPT_FIRST = 3
/** Of one attempt's error, so that four records always fit in the history. */
const MAX_RECORD_MESSAGE = 256
const MAX_RECORD_NAME = 64
const MAX_MESSAGE = 1_024

const NO_RECORDS: readonly AttemptRecord[] = Object.freeze([])
const NO_IDS: readonly string[] = Object.freeze([])
/** An edit of an edit of an edit: more of its past is of no use. */
const MAX_EDITED_FROM = 8

/** Reads a delivery's book. Headers that a foreign hand has mangled are read as absent. */
export function readBook(delivery: Delivery): Book {
  const { headers } = delivery.message
  const history = parse<{ total: number; records: AttemptRecord[] }>(headers[BOOK_HEADERS.history])
  return {
    attempt: delivery.attempt ?? count(headers[BOOK_HEADERS.attempt], 1),
    deliveries: delivery.deliveries,
    firstAttemptAt: count(headers[BOOK_HEADERS.firstAttemptAt], 0) || undefined,
    total: Number.isSafeInteger(history?.total) ? (history?.total ?? 0) : 0,
    records: Array.isArray(history?.records) ? history.records : NO_RECORDS,
    replays: count(headers[BOOK_HEADERS.replays], 0),
    canary: headers[BOOK_HEADERS.canary] !== undefined,
    editedFrom: headers[BOOK_HEADERS.editedFrom]?.split(' ') ?? NO_IDS,
    lane: delivery.message.lane,
    dead: readDead(headers[BOOK_HEADERS.dead]),
  }
}

/** The book after a failed handler run. */
export function addAttempt(book: Book, record: AttemptRecord): Book {
  return {
    ...book,
    firstAttemptAt: book.firstAttemptAt ?? record.at,
    total: book.total + 1,
    records: bound([...book.records, record]),
  }
}

/** Headers of the copy that is to be attempted next. */
export function retryHeaders(book: Book): Record<string, string> {
  return {
    ...historyHeaders(book),
    [BOOK_HEADERS.attempt]: String(book.attempt + 1),
    [BOOK_HEADERS.deliveries]: String(book.deliveries),
    ...(book.firstAttemptAt !== undefined && { [BOOK_HEADERS.firstAttemptAt]: String(book.firstAttemptAt) }),
    ...(book.canary && CANARY_HEADERS),
  }
}

/** Headers of a copy that is the same again: another try at an entry of a dead-letter queue. */
export function sameHeaders(book: Book): Record<string, string> {
  return { ...historyHeaders(book), ...(book.dead && { [BOOK_HEADERS.dead]: JSON.stringify(book.dead) }) }
}

/** Headers of an entry in a dead-letter queue. */
export function deadHeaders(book: Book, dead: DeadRecord): Record<string, string> {
  return { ...historyHeaders(book), [BOOK_HEADERS.dead]: JSON.stringify(dead) }
}

/** Headers of a replayed message: attempt 1 again, with its past. */
export function replayHeaders(book: Book, canary: boolean): Record<string, string> {
  return {
    ...historyHeaders(book),
    [BOOK_HEADERS.replays]: String(book.replays + 1),
    ...(canary && CANARY_HEADERS),
  }
}

/** Headers of a new message that an entry was edited into: without its past, but for where it came from. */
export function editedHeaders(book: Book, id: string): Record<string, string> {
  return { [BOOK_HEADERS.editedFrom]: [id, ...book.editedFrom].slice(0, MAX_EDITED_FROM).join(' ') }
}

/** The user's own headers. */
export function userHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  for (const name in headers) {
    if (!name.startsWith(RESERVED_PREFIX)) continue
    return Object.fromEntries(Object.entries(headers).filter(([each]) => !each.startsWith(RESERVED_PREFIX)))
  }
  return headers
}

/** An error of any kind as it is kept for attempts: without a stack, short. */
export function attemptError(error: unknown): ErrorRecord {
  const { name, message } = describe(error)
  return { name: cut(name, MAX_RECORD_NAME), message: cut(message, MAX_RECORD_MESSAGE) }
}

/** An error of any kind as it is kept for the dead letter. */
export function deadError(error: unknown): ErrorRecord {
  const { name, message, stack } = describe(error)
  return {
    name: cut(name, MAX_RECORD_NAME),
    message: cut(message, MAX_MESSAGE),
    ...(stack !== undefined && { stack: cutBytes(stack, MAX_STACK_BYTES) }),
  }
}

/** Whatever was thrown, however hostile: its getters may throw, and it may be a revoked proxy. */
function describe(error: unknown): { name: string; message: string; stack?: string } {
  try {
    if (error instanceof Error)
      return {
        name: String(error.name),
        message: String(error.message),
        ...(typeof error.stack === 'string' && { stack: error.stack }),
      }
    const message = typeof error === 'string' ? error : (JSON.stringify(error) ?? String(error))
    return { name: error === null ? 'null' : typeof error, message }
  } catch {
    return { name: typeof error, message: 'thrown by the handler, and impossible to describe' }
  }
}

function historyHeaders(book: Book): Record<string, string> {
  return {
    ...(book.total > 0 && {
      [BOOK_HEADERS.history]: JSON.stringify({ total: book.total, records: book.records }),
    }),
    ...(book.replays > 0 && { [BOOK_HEADERS.replays]: String(book.replays) }),
    ...(book.editedFrom.length > 0 && { [BOOK_HEADERS.editedFrom]: book.editedFrom.join(' ') }),
  }
}

/** The first 3 and as many of the last as fit. */
function bound(records: AttemptRecord[]): AttemptRecord[] {
  const sizes = records.map((record) => Buffer.byteLength(JSON.stringify(record)) + 1)
  let size = sizes.reduce((sum, each) => sum + each, 64)
  while (size > MAX_HISTORY_BYTES && records.length > KEPT_FIRST + 1) {
    records.splice(KEPT_FIRST, 1)
    size -= sizes.splice(KEPT_FIRST, 1)[0] ?? 0
  }
  return records
}

function cut(text: string, length: number): string {
  const short = text.length <= length ? text : `${text.slice(0, length - 1)}…`
  return short.isWellFormed() ? short : short.toWellFormed()
}

function cutBytes(text: string, bytes: number): string {
  const encoded = Buffer.from(text)
  return encoded.byteLength <= bytes
    ? encoded.toString()
    : encoded
        .subarray(0, bytes)
        .toString()
        .replace(/\uFFFD+$/, '')
}

function count(header: string | undefined, absent: number): number {
  if (header === undefined) return absent
  const value = Number(header)
  return Number.isSafeInteger(value) && value >= 0 ? value : absent
}

function readDead(header: string | undefined): DeadRecord | undefined {
  const dead = parse<DeadRecord>(header)
  if (typeof dead?.source !== 'string' || typeof dead.reason !== 'string' || typeof dead.at !== 'number')
    return undefined
  const { error, topic, ...rest } = dead
  return {
    ...rest,
    ...(typeof topic === 'string' && { topic }),
    ...(typeof error?.name === 'string' && typeof error.message === 'string' && { error }),
  }
}

function parse<T>(header: string | undefined): T | undefined {
  if (header === undefined) return undefined
  try {
    const value: unknown = JSON.parse(header)
    return typeof value === 'object' && value !== null ? (value as T) : undefined
  } catch {
    return undefined
  }
}
