import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Deque } from './deque.js'
import { type Due, DueHeap } from './due-heap.js'
import { Ledger } from './ledger.js'

test('a deque gives back in order what it was given, however it grew and shrank', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -40, max: 60 }), { maxLength: 60 }), (steps) => {
      const deque = new Deque<number>()
      const expected: number[] = []
      let next = 0
      for (const step of steps) {
        for (let i = 0; i < step; i++) {
          deque.push(next)
          expected.push(next++)
        }
        for (let i = 0; i < -step; i++) expect(deque.shift()).toBe(expected.shift())
        expect([deque.size, deque.peek()]).toEqual([expected.length, expected[0]])
      }
      expect(deque.drain()).toEqual(expected)
      expect(deque.shift()).toBeUndefined()
    }),
  )
})

test('a heap gives the earliest first, whatever was taken out of its middle', () => {
  const items = fc.array(fc.record({ at: fc.nat(20), removed: fc.boolean() }), { maxLength: 80, size: 'max' })
  fc.assert(
    fc.property(items, (given) => {
      const heap = new DueHeap<Due>()
      const all = given.map(({ at }, order) => ({ at, order, slot: -1 }))
      for (const item of all) heap.push(item)
      const removed = all.filter((_, i) => given[i]?.removed)
      for (const item of removed) heap.remove(item)
      for (const item of removed) heap.remove(item)
      const expected = all
        .filter((_, i) => !given[i]?.removed)
        .sort((a, b) => a.at - b.at || a.order - b.order)
      const popped: Due[] = []
      for (let item = heap.pop(); item; item = heap.pop()) popped.push(item)
      expect(popped).toEqual(expected)
      expect([heap.size, all.every(({ slot }) => slot === -1)]).toEqual([0, true])
    }),
  )
})

test('a ledger lists what is left, from any number on', () => {
  const ledger = new Ledger<{ order: number }>()
  const all = Array.from({ length: 2_000 }, () => {
    const item = { order: ledger.next }
    ledger.add(item)
    return item
  })
  const left = all.filter(({ order }) => order % 7 === 0 || order > 1_500)
  for (const item of all) if (!left.includes(item)) ledger.remove(item)
  for (const from of [0, 1, 255, 256, 257, 1_500, 1_999, 2_000, 5_000])
    expect([...ledger.from(from)]).toEqual(left.filter(({ order }) => order >= from))
  for (const item of left) ledger.remove(item)
  expect([[...ledger.from(0)], ledger.next]).toEqual([[], 2_000])
})
