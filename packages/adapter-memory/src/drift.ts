import type { Drift, Source, SubscriptionSpec } from '@msgloop/core/driver'

const FIELDS = [
  'kind',
  'topic',
  'patterns',
  'role',
  'deadLetter',
  'deliveryLimit',
  'leaseMs',
  'retentionMs',
  'dedupWindowMs',
  'order',
] as const satisfies readonly (keyof Source | keyof SubscriptionSpec)[]

/** Where a queue or subscription differs from what is wanted, field by field. */
export function drifts(wanted: Source, actual: Source | undefined): Drift[] {
  const object = `queue "${wanted.name}"`
  if (!actual) return [missing(object)]
  return FIELDS.map((field) => ({
    object,
    field,
    expected: text(wanted, field),
    actual: text(actual, field),
  })).filter(({ expected, actual }) => expected !== actual)
}

export function missing(object: string): Drift {
  return { object, expected: 'exists', actual: 'missing' }
}

function text(spec: Source, field: (typeof FIELDS)[number]): string {
  const value: unknown = Reflect.get(spec, field)
  return Array.isArray(value) ? value.join(', ') : String(value ?? 'none')
}
