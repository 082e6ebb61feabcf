import { expect, test, vi } from 'vitest'
import type { Held } from './held.js'
import { manualClock } from './testing/index.js'
import { Turns } from './turns.js'

/** As a turn sees a delivery: `a1` has key `a`, `-1` has none. */
function held(name: string): Held {
  const key = name.startsWith('-') ? undefined : name[0]
  return { delivery: { message: { id: name, key } } } as unknown as Held
}

function bench(byKey = true) {
  const clock = manualClock()
  const onReady = vi.fn()
  const turns = new Turns(clock, byKey, onReady)
  const all = new Map<string, Held>()
  const of = (name: string): Held => {
    const known = all.get(name) ?? held(name)
    all.set(name, known)
    return known
  }
  return {
    clock,
    onReady,
    turns,
    of,
    add: (...names: string[]) => idsOf(turns.add(names.map(of))),
    next: () => {
      const ids: string[] = []
      for (let next = turns.next(); next; next = turns.next()) ids.push(next.delivery.message.id)
      return ids
    },
  }
}

const idsOf = (list: readonly Held[]): string[] => list.map(({ delivery }) => delivery.message.id)

test('of each key one may start, and the next when that is over', () => {
  const { turns, of, add, next } = bench()
  add('a1', 'a2', 'b1', '-1', '-2', 'a3')
  expect(next()).toEqual(['a1', 'b1', '-1', '-2'])
  turns.pass(of('b1'))
  expect(next()).toEqual([])
  turns.pass(of('a1'))
  expect(next()).toEqual(['a2'])
  add('b2')
  expect(next()).toEqual(['b2'])
})

test('without order all may start at once', () => {
  const { add, next } = bench(false)
  add('a1', 'a2', 'a3')
  expect(next()).toEqual(['a1', 'a2', 'a3'])
})

test('those behind one that comes again go back in order, and late ones too, up to it', () => {
  const { turns, of, add, next } = bench()
  add('a1', 'a2', 'a3')
  next()
  turns.receiving()
  expect(idsOf(turns.breakOff(of('a1')))).toEqual(['a2', 'a3'])
  turns.pass(of('a1'))
  expect(add('a4', 'b1', 'a5')).toEqual(['a4', 'a5'])
  expect(next()).toEqual(['b1'])
  turns.receiving()
  expect(add('a1', 'a2')).toEqual([])
  expect(next()).toEqual(['a1'])
})

test('what comes after the one that came again is in turn', () => {
  const { turns, of, add, next } = bench()
  add('a1')
  next()
  turns.receiving()
  turns.breakOff(of('a1'))
  turns.pass(of('a1'))
  expect(add('a2', 'a1', 'a2')).toEqual(['a2'])
  expect(next()).toEqual(['a1'])
})

test('a key waits for the retry of its head, and others do not', async () => {
  const { clock, onReady, turns, of, add, next } = bench()
  add('a1', 'a2', 'b1')
  next()
  turns.wait(of('a1'), 1_000)
  turns.pass(of('b1'))
  add('b2')
  expect(next()).toEqual(['b2'])
  await clock.advance(999)
  expect(onReady).not.toHaveBeenCalled()
  await clock.advance(1)
  expect(onReady).toHaveBeenCalledOnce()
  expect(next()).toEqual(['a1'])
  turns.pass(of('a1'))
  expect(next()).toEqual(['a2'])
})

test('draining takes all that does not run, each key in order, and no timer fires later', async () => {
  const { clock, onReady, turns, of, add, next } = bench()
  add('a1', 'b1', 'b2', 'c1')
  next()
  add('a2', '-1', 'd1', 'd2')
  turns.wait(of('b1'), 1_000)
  const drained = idsOf(turns.drain())
  expect([...drained].sort()).toEqual(['-1', 'a2', 'b1', 'b2', 'd1', 'd2'])
  expect(drained.indexOf('b1')).toBeLessThan(drained.indexOf('b2'))
  expect(drained.indexOf('d1')).toBeLessThan(drained.indexOf('d2'))
  await clock.advance(1_000)
  expect(onReady).not.toHaveBeenCalled()
  add('b1', 'c2', 'd1')
  expect(next()).toEqual(['b1', 'd1'])
  turns.pass(of('c1'))
  expect(next()).toEqual(['c2'])
})
