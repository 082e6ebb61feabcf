import type { ErrorCode } from '@msgloop/core'
import { MsgloopError } from '@msgloop/core'

/** SQLSTATE, or its class, or a code of Node: what it means, and whether time alone may mend it. */
const SORTED: Readonly<Record<string, readonly [ErrorCode, boolean]>> = {
  '08': ['CONNECTION_LOST', true],
  '57': ['CONNECTION_LOST', true],
  '53': ['BUSY', true],
  '40': ['BUSY', true],
  '55P03': ['BUSY', true],
  '25P02': ['INVALID', false],
  '28': ['DENIED', false],
  '42501': ['DENIED', false],
  '42P01': ['NOT_FOUND', false],
  '3F000': ['NOT_FOUND', false],
  '3D000': ['NOT_FOUND', false],
  '42703': ['DRIFT', false],
  '42883': ['DRIFT', false],
  ECONNREFUSED: ['UNREACHABLE', true],
  ENOTFOUND: ['UNREACHABLE', true],
  EAI_AGAIN: ['UNREACHABLE', true],
  EHOSTUNREACH: ['UNREACHABLE', true],
  ECONNRESET: ['CONNECTION_LOST', true],
  EPIPE: ['CONNECTION_LOST', true],
  ETIMEDOUT: ['CONNECTION_LOST', true],
}

const ADVICE: Partial<Record<ErrorCode, string>> = {
  NOT_FOUND: '; its tables are missing: call migrate(pool)',
  DRIFT: '; its tables are of another version: call migrate(pool)',
}

/** SQLSTATE, or what Node says. */
export function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code
  return typeof code === 'string' ? code : undefined
}

/** Where the connection died: `pg` says so in words alone. */
const LOST = /connection (terminated|ended|closed)|not queryable|client has encountered a connection error/i

/** An error of PostgreSQL or its client as ours. `what`: `postgres inbox "payments" cannot …`. */
export function sorted(what: string, error: unknown): MsgloopError {
  if (error instanceof MsgloopError) return error
  const code = codeOf(error) ?? ''
  const reason = error instanceof Error ? error.message || code : String(error)
  const lost = LOST.test(reason) ? (['CONNECTION_LOST', true] as const) : undefined
  const [ours, retryable] = SORTED[code] ?? SORTED[code.slice(0, 2)] ?? lost ?? (['UNKNOWN', false] as const)
  return new MsgloopError(ours, `${what}: ${reason}${ADVICE[ours] ?? ''}`, { retryable, cause: error })
}
