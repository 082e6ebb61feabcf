import assert from 'node:assert/strict'
import type { ErrorCode, SendOutcome } from '@msgloop/core'
import { MsgloopError } from '@msgloop/core'
import type { Driver } from '@msgloop/core/driver'
import { DriverError } from '@msgloop/core/driver'

/** Passes a value that the type system would refuse, to see it refused at run time. */
export function wrong(value: unknown): never {
  return value as never
}

/**
 * The error that `action` fails with, which must be a `MsgloopError` of one of these codes.
 *
 * @throws AssertionError saying what happened instead
 */
export async function refused(
  what: string,
  action: () => unknown,
  codes: ErrorCode | readonly ErrorCode[],
  outcome?: SendOutcome,
): Promise<MsgloopError> {
  const wanted = typeof codes === 'string' ? [codes] : codes
  let value: unknown
  try {
    value = await action()
  } catch (error) {
    if (!(error instanceof MsgloopError))
      throw new assert.AssertionError({ message: `${what}: expected a MsgloopError, saw ${describe(error)}` })
    assert.ok(
      wanted.includes(error.code),
      `${what}: expected ${wanted.join(' or ')}, saw ${error.code} (${error.message})`,
    )
    if (outcome)
      assert.equal(error.outcome, outcome, `${what}: expected outcome ${outcome}, saw ${error.outcome}`)
    return error
  }
  throw new assert.AssertionError({
    message: `${what}: expected ${wanted.join(' or ')}, but it succeeded with ${describe(value)}`,
  })
}

/** How the core would sort what a driver threw or listed. */
export function codeOf(driver: Driver, error: unknown): ErrorCode {
  return error instanceof DriverError ? error.code : driver.classify(error).code
}

export function between(what: string, value: number, min: number, max: number): void {
  assert.ok(
    value >= min && value <= max,
    `${what}: expected ${round(min)} to ${round(max)}, saw ${round(value)}`,
  )
}

/** Compares as sets; names what is missing, what is extra, and what came twice. */
export function sameMembers<T>(what: string, seen: readonly T[], expected: readonly T[]): void {
  const seenSet = new Set(seen)
  const expectedSet = new Set(expected)
  const missing = [...expectedSet].filter((item) => !seenSet.has(item))
  const extra = [...seenSet].filter((item) => !expectedSet.has(item))
  const twice = seen.filter((item, index) => seen.indexOf(item) !== index)
  if (missing.length + extra.length + twice.length === 0) return
  throw new assert.AssertionError({
    message:
      `${what}: expected ${expected.length}, saw ${seen.length}; ` +
      `missing ${sample(missing)}; unexpected ${sample(extra)}; more than once ${sample(twice)}`,
    actual: seen.length,
    expected: expected.length,
  })
}

export function sameBytes(what: string, seen: Uint8Array, expected: Uint8Array): void {
  if (Buffer.compare(seen, expected) === 0) return
  const at = expected.findIndex((byte, index) => seen[index] !== byte)
  throw new assert.AssertionError({
    message:
      `${what}: expected ${expected.length} bytes, saw ${seen.length}; ` +
      `first difference at ${at === -1 ? expected.length : at}`,
  })
}

export function describe(value: unknown): string {
  if (value instanceof Error) return `${value.name}: ${value.message}`
  try {
    return (JSON.stringify(value) ?? String(value)).slice(0, 500)
  } catch {
    return Object.prototype.toString.call(value)
  }
}

function sample(items: readonly unknown[]): string {
  if (items.length === 0) return 'none'
  const first = items.slice(0, 5).map(describe).join(', ')
  return items.length > 5 ? `${items.length} (${first}, …)` : first
}

const round = (value: number): number => Math.round(value * 10) / 10
