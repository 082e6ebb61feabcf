import type { DeadLetter, DeadLetterFilter, ErrorRecord } from './dead-letters.js'
import { MsgloopError } from './error.js'
import { onlyKnown } from './options.js'

type Test = (entry: DeadLetter<unknown>) => boolean

const REASONS = ['exhausted', 'rejected', 'undecodable', 'invalid', 'expired', 'crash-loop']
const TEXTS = ['key', 'type', 'source', 'subject'] as const

/** How each condition is read. Whoever adds one adds it here. */
const CONDITIONS: {
  readonly [K in keyof Required<DeadLetterFilter>]: (at: string, value: unknown) => Test
} = {
  id: (at, value) => {
    const ids = new Set(list(`${at} "id"`, value))
    return (entry) => ids.has(entry.id)
  },
  error: (at, value) => {
    const pattern = glob(`${at} "error"`, value)
    return ({ error }) => error !== undefined && matchesError(pattern, error)
  },
  reason: (at, value) => {
    const reasons = new Set(list(`${at} "reason"`, value))
    for (const reason of reasons)
      if (!REASONS.includes(reason))
        throw new MsgloopError('INVALID', `${at} "reason" is "${reason}"; there are ${REASONS.join(', ')}`)
    return (entry) => reasons.has(entry.reason)
  },
  key: textual('key'),
  type: textual('type'),
  source: textual('source'),
  subject: textual('subject'),
  headers: (at, value) => {
    if (value === null || typeof value !== 'object')
      throw new MsgloopError('INVALID', `${at} "headers" takes an object of strings`)
    const patterns = Object.entries(value).map(
      ([name, text]) => [name.toLowerCase(), glob(`${at} "headers.${name}"`, text)] as const,
    )
    return ({ headers }) => {
      const all = Object.entries(headers)
      return patterns.every(([name, pattern]) =>
        all.some(([each, text]) => each.toLowerCase() === name && pattern.test(text)),
      )
    }
  },
  since: (at, value) => {
    const since = date(`${at} "since"`, value)
    return ({ deadAt }) => deadAt !== undefined && deadAt >= since
  },
  until: (at, value) => {
    const until = date(`${at} "until"`, value)
    return ({ deadAt }) => deadAt !== undefined && deadAt < until
  },
}

/** Whether an entry meets every condition of a filter. @throws MsgloopError `INVALID` */
export function matcher(at: string, filter: DeadLetterFilter): Test {
  onlyKnown(`filter of ${at}`, filter, Object.keys(CONDITIONS))
  const tests = Object.entries(filter)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => CONDITIONS[name as keyof DeadLetterFilter](`filter of ${at}: condition`, value))
  return (entry) => tests.every((test) => test(entry))
}

function textual(name: (typeof TEXTS)[number]): (at: string, value: unknown) => Test {
  return (at, value) => {
    const pattern = glob(`${at} "${name}"`, value)
    return (entry) => {
      const text = entry[name]
      return text !== undefined && pattern.test(text)
    }
  }
}

function matchesError(pattern: RegExp, error: ErrorRecord): boolean {
  return pattern.test(error.name) || pattern.test(`${error.name}: ${error.message}`)
}

function glob(what: string, value: unknown): RegExp {
  const parts = text(what, value)
    .split('*')
    .map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`, 's')
}

function list(what: string, value: unknown): string[] {
  return (Array.isArray(value) ? value : [value]).map((each) => text(what, each))
}

function text(what: string, value: unknown): string {
  if (typeof value === 'string') return value
  throw new MsgloopError('INVALID', `${what} is ${JSON.stringify(value) ?? typeof value}; give text`)
}

function date(what: string, value: unknown): Date {
  if (value instanceof Date && !Number.isNaN(value.getTime())) return value
  throw new MsgloopError('INVALID', `${what} takes a valid Date`)
}
