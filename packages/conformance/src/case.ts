import type { Capabilities } from '@msgloop/core'
import type { CaseContext } from './context.js'
import type { Harness } from './harness.js'

/** One provable statement of the contract. Data: whoever runs it decides how. */
export interface Case {
  /** `<clause>-<what>`; never changes, reports are compared by it. */
  readonly id: string
  /** Clauses of the contract it proves. The last one but not least: it fails when one is broken. */
  readonly clauses: readonly string[]
  /** A sentence about behaviour. */
  readonly name: string
  /** It watches the clock, or the process as a whole: no other case may run beside it. */
  readonly exclusive?: true
  /** Default `CASE_TIMEOUT_MS`. */
  readonly timeoutMs?: number
  /** Why it does not apply here; `undefined` when it does. An empty reason fails the run. */
  skip?(capabilities: Capabilities, harness: Harness): string | undefined
  run(t: CaseContext): Promise<void>
}

export const CASE_TIMEOUT_MS = 20_000
