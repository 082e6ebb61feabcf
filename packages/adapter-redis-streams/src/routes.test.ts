import { subjectMatcher } from '@msgloop/core/driver'
import { expect, test } from 'vitest'
import { Routes } from './routes.js'

const streams = (routes: Routes, subject: string): readonly string[] =>
  routes.of(subject).map(({ stream }) => stream)

test('a subject reaches each subscription that has a pattern for it once, and no other', () => {
  const routes = new Routes('p', 't', ['t.a', '#', 'revision', '7', 't.b', 'x.* x.#', 't.c', 'y'])
  expect(routes.revision).toBe('7')
  expect(streams(routes, 'x.y')).toEqual(['p:{t}:t.a', 'p:{t}:t.b'])
  expect(streams(routes, 'y')).toEqual(['p:{t}:t.a', 'p:{t}:t.c'])
})

test('subjects are matched as everywhere, whatever was asked before', () => {
  const patterns = ['#', '*', '*.#', 'a', 'a.#', 'a.*', '*.b', 'a.b', 'a.*.c', '*.*.#', 'a.b.c.#']
  const subjects = ['a', 'b', 'a.b', 'b.a', 'a.b.c', 'a.x.c', 'b.b', 'a.b.c.d']
  const routes = new Routes('p', 't', [...patterns.flatMap((each, n) => [`t.${n}`, each]), 'revision', '1'])
  for (const subject of [...subjects, ...subjects]) {
    const expected = patterns.flatMap((one, n) => (subjectMatcher([one])(subject) ? [`p:{t}:t.${n}`] : []))
    expect(streams(routes, subject)).toEqual(expected)
  }
})

test('more subjects than are remembered are matched all the same', () => {
  const routes = new Routes('p', 't', ['t.a', 'x.*', 'revision', '1'])
  for (let n = 0; n < 3_000; n++) expect(streams(routes, `x.${n % 1_500}`)).toEqual(['p:{t}:t.a'])
})
