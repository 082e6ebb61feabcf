import { type Entry, PackedEntry } from './entry.js'
import { Unpacker } from './msgpack.js'

/** An entry, and how often it was handed over. */
export interface Found {
  readonly entry: Entry
  readonly nth: number
}

/** Above this a reply is not kept alive by the last of its messages: each gets memory of its own. */
const SHARED_BYTES = 1_024 * 1_024

/** Of `RECEIVE`. */
export function readReceived(reply: unknown): {
  readonly found: readonly Found[]
  readonly waitMs: number
  readonly mayBeMore: boolean
  readonly keyed: boolean
} {
  const [found, waitMs, more, keyed] = parts(reply)
  return {
    found,
    waitMs: Number(waitMs),
    mayBeMore: more === 1,
    keyed: keyed === 1,
  }
}

/** Of `BROWSE`. */
export function readBrowsed(reply: unknown): {
  readonly found: readonly Found[]
  readonly last: string
} {
  const [found, last] = parts(reply)
  return {
    found,
    last: String(last ?? ''),
  }
}

/** Of XREADGROUP on one stream, as ioredis gives it: `[[key, [[id, [name, value, …]], …]]]`, or null. */
export function readEntries(reply: unknown): readonly Entry[] {
  const [stream] = list(reply)
  const [, entries] = list(stream)
  return list(entries).map((entry) => {
    const [id, fields] = list(entry)
    return { id: String(id), fields: list(fields).filter(Buffer.isBuffer) }
  })
}

/** The numbers of a reply of numbers. */
export const readNumbers = (reply: unknown): readonly number[] => list(reply).map(Number)

/** Of `SETTLE`: which were not settled, and why; and how many messages became receivable by it. */
export function readSettled(reply: unknown): {
  readonly passed: number
  readonly refusals: readonly { readonly nth: number; readonly why: number | string }[]
} {
  const [passed, ...items] = list(reply)
  const refusals = items.flatMap((nth, at) => {
    if (at % 2 === 1) return []
    const why = items[at + 1]
    return [{ nth: Number(nth), why: typeof why === 'number' ? why : String(why) }]
  })
  return { passed: Number(passed), refusals }
}

/** The texts of a reply of texts. */
export const readTexts = (reply: unknown): readonly string[] => list(reply).map(String)

/** Of ids, counts and fields by turns. */
function readFound(items: readonly unknown[]): readonly Found[] {
  const found: Found[] = []
  for (let at = 0; at + 2 < items.length; at += 3) {
    const fields = list(items[at + 2]).filter(Buffer.isBuffer)
    found.push({ entry: { id: String(items[at]), fields }, nth: Number(items[at + 1]) })
  }
  return found
}

/** The same, packed. */
function unpackFound(unpacker: Unpacker, bytes: Buffer): readonly Found[] {
  const found: Found[] = []
  for (let left = unpacker.length(); left > 0; left -= 3) {
    const id = unpacker.text()
    const nth = Number(unpacker.value())
    const from = unpacker.at
    for (let fields = unpacker.length(); fields > 0; fields--) unpacker.begin()
    const entry =
      bytes.length > SHARED_BYTES
        ? new PackedEntry(id, Buffer.from(bytes.subarray(from, unpacker.at)), 0)
        : new PackedEntry(id, bytes, from)
    found.push({ entry, nth })
  }
  return found
}

/** What was found, and what comes after it. Packed where bodies are small. */
function parts(reply: unknown): readonly [found: readonly Found[], ...rest: unknown[]] {
  if (!Buffer.isBuffer(reply)) {
    const [found, ...rest] = list(reply)
    return [readFound(list(found)), ...rest]
  }
  const unpacker = new Unpacker(reply)
  const length = unpacker.length()
  const found = unpackFound(unpacker, reply)
  return [found, ...Array.from({ length: length - 1 }, () => unpacker.value())]
}

const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [])
