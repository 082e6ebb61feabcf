import { expect, test } from 'vitest'
import { uuidv7 } from './id.js'

test('ids are UUIDs of version 7, distinct, and sort in the order of making', () => {
  const ids = Array.from({ length: 50_000 }, () => uuidv7())
  for (const id of ids.slice(0, 100))
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  expect(new Set(ids).size).toBe(ids.length)
  expect([...ids].sort()).toEqual(ids)
})

test('an id tells the time of its making', () => {
  const before = Date.now()
  const made = Number.parseInt(uuidv7().replaceAll('-', '').slice(0, 12), 16)
  expect(made).toBeGreaterThanOrEqual(before)
  expect(made).toBeLessThan(before + 5_000)
})
