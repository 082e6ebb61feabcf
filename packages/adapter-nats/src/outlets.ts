import { ORDER_PARTITIONS, type Source, type SubscriptionSpec, subjectMatcher } from '@msgloop/core/driver'
import {
  arrivalSubject,
  delayedSubject,
  partitionSubject,
  streamOf,
  token,
  topicStreamOf,
  topicSubjectOf,
} from './names.js'

/** The one consumer of a queue's stream, which all workers share. */
export const CONSUMER = 'msgloop'

/** A durable consumer that a queue or subscription is read through. */
export interface Outlet {
  readonly stream: string
  readonly consumer: string
  /** Absent: all there is in the stream. */
  readonly filter?: string
  /** One message at a time is out, and nothing after it until it is acked. */
  readonly inTurn: boolean
  /** Hands nothing over: its messages are stored again where their turn is. */
  readonly feeds: boolean
  /** Present where the stream is a topic's. */
  readonly topic?: {
    /** What comes before a subject. */
    readonly prefix: string
    /** Whether a subject that the filter lets through is for this outlet. What is not is acked unseen. */
    readonly wants: (subject: string) => boolean
  }
}

/** All that a queue or subscription is read through. */
export function outletsOf(prefix: string, source: Source): readonly Outlet[] {
  const own = source.order === 'key' ? partitions(prefix, source) : [whole(prefix, source)]
  return source.kind === 'queue' ? own : [...own, ...ofTopic(prefix, source)]
}

/** What a message of a topic was published about. */
export const subjectFrom = ({ topic }: Outlet, subject: string): string | undefined =>
  topic ? subject.slice(topic.prefix.length) : undefined

const whole = (prefix: string, { name }: Source): Outlet => ({
  stream: streamOf(prefix, name),
  consumer: CONSUMER,
  inTurn: false,
  feeds: false,
})

function partitions(prefix: string, { name }: Source): Outlet[] {
  const stream = streamOf(prefix, name)
  return [
    ...Array.from({ length: ORDER_PARTITIONS }, (_, partition) => ({
      stream,
      consumer: `${CONSUMER}-${partition}`,
      filter: partitionSubject(prefix, name, partition),
      inTurn: true,
      feeds: false,
    })),
    {
      stream,
      consumer: `${CONSUMER}-arriving`,
      filter: arrivalSubject(prefix, name),
      inTurn: true,
      feeds: true,
    },
    {
      stream,
      consumer: `${CONSUMER}-delayed`,
      filter: delayedSubject(prefix, name),
      inTurn: false,
      feeds: true,
    },
  ]
}

function ofTopic(prefix: string, { name, topic, patterns, order }: SubscriptionSpec): Outlet[] {
  const outlet = (filter: string, at: number, wants: (subject: string) => boolean): Outlet => ({
    stream: topicStreamOf(prefix, topic),
    consumer: `${token(name.slice(topic.length + 1))}=${at}`,
    filter: topicSubjectOf(prefix, topic, filter),
    inTurn: order === 'key',
    feeds: order === 'key',
    topic: { prefix: topicSubjectOf(prefix, topic, ''), wants },
  })
  if (order === 'key') return [outlet(common(patterns), 0, subjectMatcher(patterns))]
  const kept = withoutCovered(patterns)
  return kept
    .flatMap((pattern, at) => {
      const matches = subjectMatcher([pattern])
      const earlier = subjectMatcher(kept.slice(0, at))
      const wants = (subject: string): boolean => matches(subject) && !earlier(subject)
      return filtersOf(pattern).map((filter) => ({ filter, wants }))
    })
    .map(({ filter, wants }, at) => outlet(filter, at, wants))
}

/**
 * Filters that let through what a pattern matches. `#` is zero or more segments, `>` is one or more. None ends with
 * `*`: servers of 2.10 drop what only such a filter lets through, as if nobody were interested, when another
 * filter goes on from the same segment (`a.*` beside `a.b.c` loses `a.b`, measured on 2.10.27).
 */
function filtersOf(pattern: string): string[] {
  const segments = pattern.split('.')
  const open = segments.at(-1) === '#'
  if (open) segments.pop()
  const stem = segments.join('.')
  if (segments.length === 0 || segments.at(-1) === '*') return [[...segments.slice(0, -1), '>'].join('.')]
  return open ? [stem, `${stem}.>`] : [stem]
}

/** The narrowest single filter that lets through whatever any of the patterns matches. */
function common(patterns: readonly string[]): string {
  const filters = patterns.flatMap(filtersOf)
  const [only = '>', ...others] = filters
  if (others.length === 0) return only
  const split = filters.map((filter) => filter.split('.'))
  const filter: string[] = []
  // At least one segment is left for `>`.
  for (let at = 0; at < Math.min(...split.map(({ length }) => length)) - 1; at++) {
    const here = new Set(split.map((segments) => segments[at]))
    filter.push(here.size === 1 ? (split[0]?.[at] ?? '*') : '*')
  }
  return [...filter, '>'].join('.')
}

/** Without patterns that match nothing which another does not match. */
function withoutCovered(patterns: readonly string[]): readonly string[] {
  return patterns.filter((one) => !patterns.some((other) => other !== one && covers(other, one)))
}

function covers(wide: string, narrow: string): boolean {
  if (wide === '#') return true
  const matches = subjectMatcher([wide])
  if (narrow === '#') return false
  return narrow.endsWith('.#') ? wide.endsWith('#') && matches(narrow.slice(0, -2)) : matches(narrow)
}
