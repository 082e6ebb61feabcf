import type { StandardSchema } from './standard-schema.js'

/** `problem` is absent when the value fits. */
export interface Checked<T> {
  readonly value?: T
  readonly problem?: string
}

/** Runs a schema. A promise only where the schema itself is asynchronous. */
export function validate<T>(
  schema: StandardSchema<unknown, T>,
  value: unknown,
): Checked<T> | Promise<Checked<T>> {
  const result = schema['~standard'].validate(value)
  return 'then' in result ? Promise.resolve(result).then(judge) : judge(result)
}

function judge<T>(
  result: Awaited<ReturnType<StandardSchema<unknown, T>['~standard']['validate']>>,
): Checked<T> {
  if (!result.issues) return { value: result.value }
  const issues = result.issues.map(({ message, path }) => {
    const keys = path?.map((part) => String(typeof part === 'object' ? part.key : part)).join('.')
    return keys ? `${keys}: ${message}` : message
  })
  return { problem: issues.slice(0, 5).join('; ') || 'refused' }
}
