import { expect, test } from 'vitest'
import { markOf } from './mark.js'

const PLAIN = /^[\x20-\x7e]{1,128}$/

test('an id of our own clients is its own mark', () => {
  const id = '0190a7c1-6f2e-7c3a-9d51-5f0c1e2a7b44'
  expect(markOf('orders', id)).toEqual({ queue: 'orders', id })
  expect(markOf('orders', 'x'.repeat(128)).id).toBe('x'.repeat(128))
})

test.each([
  ['longer than any column', 'x'.repeat(129)],
  ['empty', ''],
  ['with a NUL', 'a\0b'],
  ['with half a character', 'a\ud800'],
  ['with spaces', 'a b'],
])('an id that is %s is marked by its hash', (_what, id) => {
  const mark = markOf('orders', id)
  expect(mark.id).toMatch(/^sha256 [0-9a-f]{64}$/)
  expect(mark.id).toMatch(PLAIN)
})

test('ids that a database would store alike have marks of their own', () => {
  const ids = ['a\ud800', 'a\ud801', 'a\ufffd', `${'x'.repeat(200)}1`, `${'x'.repeat(200)}2`]
  expect(new Set(ids.map((id) => markOf('q', id).id)).size).toBe(ids.length)
})

test('nobody can choose an id that is the mark of another', () => {
  const { id } = markOf('q', 'x'.repeat(200))
  expect(markOf('q', id).id).not.toBe(id)
})
