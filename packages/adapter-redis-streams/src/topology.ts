import { type Drift, DriverError, type QueueSpec, type Topology } from '@msgloop/core/driver'
import { capabilities } from './capabilities.js'

/** What a queue is declared with, as it is kept beside it. Leases are each receiver's own. */
const FIELDS = ['role', 'deadLetter', 'deliveryLimit', 'retentionMs', 'dedupWindowMs'] as const

/** @throws DriverError `UNSUPPORTED` for what `capabilities` deny: topics, order by key, lanes, longer windows */
export function asQueue(topology: Topology): QueueSpec {
  const unsupported = (what: string): DriverError =>
    new DriverError('UNSUPPORTED', `redis-streams: ${topology.kind} "${topology.name}": ${what}`)
  if (topology.kind !== 'queue') throw unsupported('there are no topics here yet')
  if (topology.order !== 'none') throw unsupported('order by key is not possible here yet')
  if (topology.lanes) throw unsupported('lanes are not possible here yet')
  if (topology.dedupWindowMs > capabilities.dedupWindowMs)
    throw unsupported(`duplicates can be dropped for ${capabilities.dedupWindowMs} ms at most`)
  return topology
}

/** Names and values by turns. */
export const settingsOf = (spec: QueueSpec): readonly string[] =>
  FIELDS.flatMap((field) => (spec[field] === undefined ? [] : [field, String(spec[field])]))

/** How a queue that was declared with `settings` differs from `spec`, field by field. */
export function driftsOf(spec: QueueSpec, settings: readonly string[]): readonly Drift[] {
  const object = `queue "${spec.name}"`
  if (settings.length === 0) return [{ object, expected: 'a queue', actual: 'missing' }]
  const declared = new Map<string, string>()
  for (let at = 0; at < settings.length; at += 2) declared.set(settings[at] ?? '', settings[at + 1] ?? '')
  return FIELDS.flatMap((field) => {
    const expected = String(spec[field] ?? 'none')
    const actual = declared.get(field) ?? 'none'
    return expected === actual ? [] : [{ object, field, expected, actual }]
  })
}

export function driftError(spec: QueueSpec, drifts: readonly Drift[]): DriverError {
  const fields = drifts.map(({ field, expected, actual }) => `${field} is ${actual}, wanted ${expected}`)
  const message =
    `queue "${spec.name}" exists with other settings: ${fields.join('; ')}; ` +
    `connect with topology: 'verify' or 'none' to adopt it as it is`
  return new DriverError('DRIFT', message, { outcome: 'rejected' })
}
