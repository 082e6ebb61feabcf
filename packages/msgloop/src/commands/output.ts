import Table from 'cli-table3'
import { paint, print } from '../terminal.js'

/** One JSON document a line, for programs. Dates become ISO strings, bytes UTF-8 text or `{ "base64": … }`. */
export function printJson(value: unknown): void {
  print(JSON.stringify(value, (_, each: unknown) => plain(each)))
}

/** A table for people: no lines, aligned columns. */
export function printTable(head: readonly string[], rows: readonly (readonly (string | number)[])[]): void {
  const table = new Table({
    head: head.map((title) => paint.dim(title)),
    chars: NO_LINES,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 2 },
  })
  table.push(...rows.map((row) => [...row]))
  print(table.toString().replaceAll(/ +$/gm, ''))
}

/** A number, or what stands for "the broker cannot tell". */
export const shown = (value: number | undefined): string => (value === undefined ? '-' : String(value))

/** UTF-8 where it is, else base64. */
export function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return `base64:${Buffer.from(bytes).toString('base64')}`
  }
}

function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return textOf(value)
  // A Buffer has become this before anybody asked.
  if (isBufferJson(value)) return textOf(Uint8Array.from(value.data))
  return value
}

function isBufferJson(value: unknown): value is { readonly data: number[] } {
  return (
    typeof value === 'object' &&
    value !== null &&
    (value as { type?: unknown }).type === 'Buffer' &&
    Array.isArray((value as { data?: unknown }).data)
  )
}

const NO_LINES = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '',
}
