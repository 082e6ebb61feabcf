import fc from 'fast-check'
import { expect, test } from 'vitest'
import { checkPatterns, checkSubject, subjectMatcher } from './subject.js'

/** Few letters, so that patterns and subjects often meet. */
const word = fc.constantFrom('a', 'b', 'A1', '_', 'x-y', 'a_')
const subjects = fc.array(word, { minLength: 1, maxLength: 6 }).map((segments) => segments.join('.'))
const patterns = fc
  .tuple(fc.array(fc.oneof(word, fc.constant('*')), { maxLength: 5 }), fc.boolean())
  .filter(([segments, open]) => open || segments.length > 0)
  .map(([segments, open]) => [...segments, ...(open ? ['#'] : [])].join('.'))

/** The same rules, said in another way. */
function oracle(pattern: string): RegExp {
  const text = pattern
    .replace(/^#$/, '§all')
    .replace(/\.#$/, '§rest')
    .replaceAll('.', '\\.')
    .replaceAll('*', '[^.]+')
    .replace('§all', '.+')
    .replace('§rest', '(\\..+)?')
  return new RegExp(`^${text}$`)
}

test('a pattern matches as its regular expression does', () => {
  fc.assert(
    fc.property(patterns, subjects, (pattern, subject) => {
      expect(subjectMatcher([pattern])(subject)).toBe(oracle(pattern).test(subject))
    }),
    { numRuns: 5_000 },
  )
})

test('a subject is a pattern that matches itself, with "#" behind it too, and with "*" for any segment', () => {
  fc.assert(
    fc.property(subjects, fc.nat(5), (subject, at) => {
      const segments = subject.split('.')
      segments[at % segments.length] = '*'
      for (const pattern of [subject, `${subject}.#`, segments.join('.'), '#'])
        expect(subjectMatcher([pattern])(subject)).toBe(true)
      expect(subjectMatcher([`${subject}.*`])(subject)).toBe(false)
    }),
  )
})

test('several patterns match what any of them matches', () => {
  fc.assert(
    fc.property(fc.array(patterns, { minLength: 1, maxLength: 4 }), subjects, (several, subject) => {
      expect(subjectMatcher(several)(subject)).toBe(several.some((one) => subjectMatcher([one])(subject)))
    }),
  )
})

test('every generated subject and pattern passes its check, and patterns come out sorted, each once', () => {
  fc.assert(
    fc.property(subjects, fc.array(patterns, { minLength: 1, maxLength: 8 }), (subject, several) => {
      checkSubject('t', subject)
      const checked = checkPatterns('t', [...several, ...several])
      expect(checked).toEqual([...new Set(several)].sort())
    }),
  )
})

const long = Array.from({ length: 17 }, () => 'a').join('.')

test.each(['', '.', 'a.', '.a', 'a..b', 'a b', 'a.*', '#', 'ä', 'a/b', 'a>', long, 'x'.repeat(128), 7, null])(
  'refuses the subject %j',
  (subject) => {
    expect(() => checkSubject('t', subject)).toThrow(expect.objectContaining({ code: 'INVALID' }))
  },
)

test.each([
  '',
  '.',
  'a.',
  'a..b',
  '#.a',
  'a.#.b',
  '##',
  'a#',
  'a*',
  '**',
  '>',
  long,
  'x'.repeat(128),
  7,
  null,
])('refuses the pattern %j', (pattern) => {
  expect(() => checkPatterns('t', [pattern])).toThrow(expect.objectContaining({ code: 'INVALID' }))
})

test.each([[[]], ['#'], [undefined], [Array.from({ length: 17 }, (_, n) => `a${n}`)]])(
  'refuses %j as patterns',
  (patterns) => {
    expect(() => checkPatterns('t', patterns)).toThrow(expect.objectContaining({ code: 'INVALID' }))
  },
)
