import type { Drift, QueueSpec } from '@msgloop/core/driver'

const FIELDS = [
  'role',
  'deadLetter',
  'deliveryLimit',
  'leaseMs',
  'retentionMs',
  'dedupWindowMs',
  'order',
  'lanes',
] as const satisfies readonly (keyof QueueSpec)[]

/** Where a queue differs from what is wanted, field by field. */
export function drifts(wanted: QueueSpec, actual: QueueSpec | undefined): Drift[] {
  const object = `queue "${wanted.name}"`
  if (!actual) return [{ object, expected: 'exists', actual: 'missing' }]
  return FIELDS.filter((field) => wanted[field] !== actual[field]).map((field) => ({
    object,
    field,
    expected: String(wanted[field] ?? 'none'),
    actual: String(actual[field] ?? 'none'),
  }))
}
