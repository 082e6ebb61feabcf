/** The message attribute that policies ask for. */
export const SUBJECT_ATTRIBUTE = 'subject'

/** A condition of SNS on one attribute. */
type Condition =
  | string
  | { readonly prefix: string }
  | { readonly suffix: string }
  | { readonly exists: boolean }

/** Before each pattern as it was given. No subject has such a character, so it matches none. */
const MARK = 'pattern:'
const EVERYTHING = '#'

/**
 * What SNS need not send to a queue. A policy knows prefixes and suffixes of a whole subject, not segments, so it lets
 * through more than the patterns do, and never less: the receiver drops the rest. The patterns themselves are in it,
 * as conditions that nothing meets, to be compared and read. `undefined`: everything, also what has no subject.
 */
export function filterPolicy(patterns: readonly string[]): string | undefined {
  if (patterns.length === 1 && patterns[0] === EVERYTHING) return undefined
  const conditions = new Map<string, Condition>()
  for (const condition of patterns.flatMap(conditionsOf)) conditions.set(JSON.stringify(condition), condition)
  const marks = patterns.map((pattern) => `${MARK}${pattern}`)
  return JSON.stringify({ [SUBJECT_ATTRIBUTE]: [...conditions.values(), ...marks] })
}

/** The patterns of a policy, as they were given; `undefined` for one that is none of ours. */
export function patternsOf(policy: string | undefined): readonly string[] | undefined {
  if (policy === undefined || policy === '' || policy === '{}') return [EVERYTHING]
  try {
    const { [SUBJECT_ATTRIBUTE]: conditions } = JSON.parse(policy)
    if (!Array.isArray(conditions)) return undefined
    const marks = conditions.filter((each) => typeof each === 'string' && each.startsWith(MARK))
    return marks.length === 0 ? undefined : marks.map((mark: string) => mark.slice(MARK.length)).sort()
  } catch {
    return undefined
  }
}

function conditionsOf(pattern: string): readonly Condition[] {
  if (pattern === EVERYTHING) return [{ exists: true }, { exists: false }]
  const open = pattern.endsWith(`.${EVERYTHING}`)
  const segments = pattern.split('.').slice(0, open ? -1 : undefined)
  const first = segments.indexOf('*')
  if (first === -1) return open ? [segments.join('.'), { prefix: `${segments.join('.')}.` }] : [pattern]
  if (first > 0) return [{ prefix: `${segments.slice(0, first).join('.')}.` }]
  const tail = segments.slice(segments.lastIndexOf('*') + 1)
  return !open && tail.length > 0 ? [{ suffix: `.${tail.join('.')}` }] : [{ exists: true }]
}
