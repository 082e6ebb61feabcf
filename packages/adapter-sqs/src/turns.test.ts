import { expect, test } from 'vitest'
import { Turns } from './turns.js'

test('work that shares a group is done one after the other, whatever became of the one before', async () => {
  const turns = new Turns()
  const log: string[] = []
  const ends: (() => void)[] = []
  const work =
    (name: string, fails = false) =>
    async () => {
      log.push(`${name} begins`)
      await new Promise<void>((resolve) => ends.push(resolve))
      log.push(`${name} ends`)
      if (fails) throw new Error(name)
    }
  const first = turns.take(new Set(['a', 'b']), work('ab', true))
  const second = turns.take(new Set(['b', 'c']), work('bc'))
  const other = turns.take(new Set(['d']), work('d'))
  expect(log).toEqual(['ab begins', 'd begins'])
  ends[1]?.()
  ends[0]?.()
  await expect(first).rejects.toThrow('ab')
  await other
  await expect.poll(() => ends.length).toBe(3)
  ends[2]?.()
  await second
  expect(log.slice(-2)).toEqual(['bc begins', 'bc ends'])
})
