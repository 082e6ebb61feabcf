import { describe, expect, test } from 'vitest'
import { type Packable, pack, unpack } from './msgpack.js'

/** Texts come back as bytes. Written as text here, which is compared in a blink. */
function shown(value: unknown): unknown {
  if (typeof value === 'string') return Buffer.from(value).toString('latin1')
  if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1')
  return Array.isArray(value) ? value.map(shown) : value
}

describe('what is packed comes back', () => {
  test.each<[string, Packable]>([
    ['numbers of every size', [0, 1, 127, 128, 255, 65_536, 1_763_833_612_345, -1, 0.5, 2 ** 53 - 1]],
    ['texts of every script', ['', 'x', 'grüße 世界 🚀', 'a\u0000b', 'y'.repeat(70_000), 'é'.repeat(30_000)]],
    ['bytes that are no text', [Buffer.alloc(0), Buffer.from([0xff, 0x00, 0xc3]), Buffer.alloc(70_000, 7)]],
    ['lists in lists', [[], [[1]], ['a', ['b', [Buffer.from('c')]]]]],
    ['long lists', Array.from({ length: 70_000 }, (_, n) => n % 100)],
    ['15 and 16 items', [Array.from({ length: 15 }, () => 1), Array.from({ length: 16 }, () => 1)]],
  ])('%s', (_what, value) => {
    expect(shown(unpack(pack(value)))).toEqual(shown(value))
    // However wrong the guess of its size.
    expect(pack(value, 1).equals(pack(value, 1_000_000))).toBe(true)
  })

  test('and a part of a larger array is that part', () => {
    const whole = Buffer.from('abcdef')
    expect(unpack(pack(new Uint8Array(whole.buffer, whole.byteOffset + 2, 2)))).toEqual(Buffer.from('cd'))
  })
})

describe('every form that Lua writes is read', () => {
  test.each<[string, readonly number[], unknown]>([
    ['nil', [0xc0], null],
    ['false', [0xc2], false],
    ['true', [0xc3], true],
    ['an empty table, which is a map', [0x80], []],
    ['a short string', [0xa2, 0x68, 0x69], Buffer.from('hi')],
    ['a string of one byte of length', [0xd9, 1, 0x68], Buffer.from('h')],
    ['a string of two bytes of length', [0xda, 0, 1, 0x68], Buffer.from('h')],
    ['a string of four bytes of length', [0xdb, 0, 0, 0, 1, 0x68], Buffer.from('h')],
    ['a list of two bytes of length', [0xdc, 0, 2, 1, 2], [1, 2]],
    ['a small negative number', [0xff], -1],
    ['numbers without a sign', [0x94, 0xcc, 200, 0xcd, 1, 0, 0xce, 0, 1, 0, 0, 5], [200, 256, 65_536, 5]],
    ['numbers with a sign', [0x93, 0xd0, 0xfe, 0xd1, 0xff, 0, 0xd2, 0xff, 0xff, 0xff, 0], [-2, -256, -256]],
    ['a long number', [0xcf, 0, 0, 1, 0, 0, 0, 0, 0], 2 ** 40],
    ['a long negative number', [0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], -1],
    ['a short fraction', [0xca, 0x3f, 0, 0, 0], 0.5],
  ])('%s', (_what, bytes, value) => {
    expect(unpack(Buffer.from(bytes))).toEqual(value)
  })

  test('and what is cut off or unknown is an error, never half a value', () => {
    for (const bytes of [[], [0xdb, 0, 0, 0, 9, 1], [0x92, 1], [0xc1], [0x81, 1, 2], [0xcb, 0]])
      expect(() => unpack(Buffer.from(bytes)), String(bytes)).toThrow(RangeError)
  })
})
