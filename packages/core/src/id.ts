import { randomFillSync } from 'node:crypto'

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))
const pool = new Uint8Array(8 * 512)
let used = pool.length
let lastMs = 0
let counter = 0
let prefix = ''

const hex = (byte: number): string => HEX[byte & 0xff] as string

/**
 * A UUIDv7 (RFC 9562): sorts by time of making, also within one millisecond of one process.
 * `now` is the time of sending, epoch ms, which an adapter need not write down a second time then.
 * Random bytes are drawn for 512 ids at once: one draw per id would cost more than the rest of a send.
 */
export function uuidv7(now = Date.now()): string {
  if (now > lastMs) {
    lastMs = now
    counter = Math.floor(Math.random() * 0x800)
    prefix = ''
  } else if (++counter > 0xfff) {
    lastMs++
    counter = 0
    prefix = ''
  }
  if (prefix === '') {
    const ms = lastMs.toString(16).padStart(12, '0')
    prefix = `${ms.slice(0, 8)}-${ms.slice(8)}-7`
  }
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const at = used
  used += 8
  const p = (i: number): number => pool[at + i] as number
  return `${prefix}${(counter >> 8).toString(16)}${hex(counter)}-${hex((p(0) & 0x3f) | 0x80)}${hex(p(1))}-${hex(p(2))}${hex(p(3))}${hex(p(4))}${hex(p(5))}${hex(p(6))}${hex(p(7))}`
}

/** Epoch ms in a UUIDv7; NaN in anything else. */
export function uuidTime(id: string): number {
  if (id.length !== 36 || id[14] !== '7' || id[8] !== '-' || id[13] !== '-') return Number.NaN
  let ms = 0
  for (let at = 0; at < 13; at++) if (at !== 8) ms = ms * 16 + digit(id.charCodeAt(at))
  return ms
}

/** Value of a hex digit, by its character code; NaN of any other. */
function digit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : Number.NaN
}
