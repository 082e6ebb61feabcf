import {
  type Drift,
  DriverError,
  type Source,
  type SubscriptionSpec,
  type TopicSpec,
  type Topology,
} from '@msgloop/core/driver'
import { capabilities } from './capabilities.js'
import { GROUP } from './keys.js'

/** Names and values by turns, as a hash is read and written. */
export type Fields = readonly string[]

/** @throws DriverError `UNSUPPORTED` for what `capabilities` deny: longer windows */
export function asQueue(topology: Topology): Source {
  const unsupported = (what: string): DriverError =>
    new DriverError('UNSUPPORTED', `redis-streams: ${nameOf(topology)}: ${what}`)
  if (topology.kind === 'topic') throw unsupported('nothing can be received from a topic')
  if (topology.dedupWindowMs > capabilities.dedupWindowMs)
    throw unsupported(`duplicates can be dropped for ${capabilities.dedupWindowMs} ms at most`)
  return topology
}

/** The topic that fills it. */
export const topicOf = (source: Source): string | undefined =>
  source.kind === 'subscription' ? source.topic : undefined

/** What a queue is declared with, as it is kept beside it. Leases are each receiver's own. */
export function settingsOf(source: Source): Fields {
  const { role, deadLetter, deliveryLimit, retentionMs, dedupWindowMs } = source
  const order = source.order === 'key' ? 'key' : undefined
  const settings = { role, deadLetter, deliveryLimit, retentionMs, dedupWindowMs, order }
  const bound = source.kind === 'subscription' ? { topic: source.topic, patterns: patternsOf(source) } : {}
  return Object.entries({ ...settings, ...bound }).flatMap(([field, value]) =>
    value === undefined ? [] : [field, String(value)],
  )
}

/** As they are kept in the routes of a topic. */
export const patternsOf = ({ patterns }: SubscriptionSpec): string => patterns.join(' ')

const FIELDS = [
  'role',
  'deadLetter',
  'deliveryLimit',
  'retentionMs',
  'dedupWindowMs',
  'order',
  'topic',
  'patterns',
] as const

/** How a queue that was declared with `settings` differs from what is wanted, field by field. */
export function driftsOf(source: Source, settings: Fields): readonly Drift[] {
  const object = nameOf(source)
  if (settings.length === 0) return [missing(source)]
  const wanted = mapOf(settingsOf(source))
  const declared = mapOf(settings)
  return FIELDS.flatMap((field) => {
    const expected = wanted.get(field) ?? 'none'
    const actual = declared.get(field) ?? 'none'
    return expected === actual ? [] : [{ object, field, expected, actual }]
  })
}

/** How the routes of its topic differ from what a subscription wants. */
export function bindingDrifts(wanted: SubscriptionSpec, bound: string | undefined): readonly Drift[] {
  const object = `binding of ${nameOf(wanted)}`
  const expected = patternsOf(wanted)
  if (bound === undefined)
    return [{ object, expected: `to topic "${wanted.topic}" by ${expected}`, actual: 'missing' }]
  return bound === expected ? [] : [{ object, field: 'patterns', expected, actual: bound }]
}

/** What the keys of a queue hold. */
export const TYPES = { stream: 'stream', settings: 'hash', delayed: 'zset', leases: 'zset' } as const
/** As `TYPE` tells it: `none` where there is no key. */
export type Types = { readonly [K in keyof typeof TYPES]: string | undefined }

/** Keys that hold something that is not ours. */
export function typeDrifts(source: Source, types: Types): readonly Drift[] {
  const object = nameOf(source)
  return Object.entries(TYPES).flatMap(([key, expected]) => {
    const actual = types[key as keyof Types] ?? 'none'
    return actual === expected || actual === 'none'
      ? []
      : [{ object, field: `type of ${key}`, expected, actual }]
  })
}

/** Whether the consumer group is there, of what `XINFO GROUPS` says: each as `name,<name>,consumers,…`. */
export function groupDrifts(source: Source, groups: readonly string[]): readonly Drift[] {
  const there = groups.some((group) => group.startsWith(`name,${GROUP},`))
  return there ? [] : [{ object: `consumer group of ${nameOf(source)}`, expected: GROUP, actual: 'missing' }]
}

/** The whole object is not there. */
export const missing = (topology: Source | TopicSpec): Drift => ({
  object: nameOf(topology),
  expected: `a ${topology.kind}`,
  actual: 'missing',
})

export function driftError(source: Source, drifts: readonly Drift[]): DriverError {
  const fields = drifts.map(({ field, expected, actual }) => `${field} is ${actual}, wanted ${expected}`)
  const message =
    `${nameOf(source)} exists with other settings: ${fields.join('; ')}; ` +
    `connect with topology: 'verify' or 'none' to adopt it as it is`
  return new DriverError('DRIFT', message, { outcome: 'rejected' })
}

export const nameOf = ({ kind, name }: Topology): string => `${kind} "${name}"`

export function mapOf(fields: Fields): ReadonlyMap<string, string> {
  const map = new Map<string, string>()
  for (let at = 0; at < fields.length; at += 2) map.set(fields[at] ?? '', fields[at + 1] ?? '')
  return map
}
