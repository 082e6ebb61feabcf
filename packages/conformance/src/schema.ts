import type { StandardSchema } from '@msgloop/core'

/** A schema that takes numbers only. */
export function numberSchema({ later = false } = {}): StandardSchema<unknown, number> {
  const judge = (value: unknown) =>
    typeof value === 'number' ? { value } : { issues: [{ message: `expected a number`, path: ['body'] }] }
  return {
    '~standard': {
      version: 1,
      vendor: 'msgloop-conformance',
      validate: (value) => (later ? Promise.resolve(judge(value)) : judge(value)),
    },
  }
}
