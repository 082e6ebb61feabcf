import { MsgloopError } from './error.js'

/** What every broker carries, our own prefixes included: AMQP ends at 255 bytes, NATS advises 16 segments. */
export const SUBJECT_BYTES = 127
export const SUBJECT_SEGMENTS = 16
/** Patterns of one subscription: each is a binding, a filter or a clause of a filter policy somewhere. */
export const MOST_PATTERNS = 16

const SEGMENT = /^[A-Za-z0-9_-]+$/
const LIMITS = `at most ${SUBJECT_SEGMENTS} segments and ${SUBJECT_BYTES} characters`

/** @throws MsgloopError `INVALID` */
export function checkSubject(at: string, subject: unknown): asserts subject is string {
  if (typeof subject === 'string' && fits(subject) && subject.split('.').every(isSegment)) return
  throw new MsgloopError(
    'INVALID',
    `${at}: ${quoted(subject)} is not a subject: give segments of letters, digits, "_" or "-" separated by dots, ${LIMITS}`,
  )
}

/**
 * The patterns of a subscription, sorted and each once: their order means nothing.
 *
 * @throws MsgloopError `INVALID`
 */
export function checkPatterns(at: string, patterns: unknown): readonly string[] {
  if (!Array.isArray(patterns) || patterns.length === 0 || patterns.length > MOST_PATTERNS)
    throw new MsgloopError(
      'INVALID',
      `${at}: option "patterns" takes an array of 1 to ${MOST_PATTERNS} patterns`,
    )
  for (const pattern of patterns) {
    if (!isPattern(pattern))
      throw new MsgloopError(
        'INVALID',
        `${at}: ${quoted(pattern)} is not a pattern: give a subject in which "*" stands for one segment and a "#" at the end for any number, ${LIMITS}`,
      )
  }
  return Object.freeze([...new Set<string>(patterns)].sort())
}

/**
 * Whether any of the patterns matches: `*` is exactly one segment, a final `#` is zero or more. Made once,
 * asked for every message. Expects patterns and subjects that were checked.
 *
 * @example subjectMatcher(['order.#'])('order.created.eu') // true
 */
export function subjectMatcher(patterns: readonly string[]): (subject: string) => boolean {
  const split = patterns.map((pattern) => pattern.split('.'))
  return (subject) => {
    const segments = subject.split('.')
    return split.some((pattern) => matches(pattern, segments))
  }
}

function matches(pattern: readonly string[], segments: readonly string[]): boolean {
  const open = pattern.at(-1) === '#'
  const fixed = open ? pattern.length - 1 : pattern.length
  if (open ? segments.length < fixed : segments.length !== fixed) return false
  for (let at = 0; at < fixed; at++) if (pattern[at] !== '*' && pattern[at] !== segments[at]) return false
  return true
}

function isPattern(pattern: unknown): boolean {
  if (typeof pattern !== 'string' || !fits(pattern)) return false
  const segments = pattern.split('.')
  const open = segments.at(-1) === '#'
  return segments.slice(0, open ? -1 : undefined).every((each) => each === '*' || isSegment(each))
}

function fits(text: string): boolean {
  return text.length <= SUBJECT_BYTES && text.split('.').length <= SUBJECT_SEGMENTS
}

function isSegment(segment: string): boolean {
  return SEGMENT.test(segment)
}

function quoted(value: unknown): string {
  return JSON.stringify(value)?.slice(0, 200) ?? String(value)
}
