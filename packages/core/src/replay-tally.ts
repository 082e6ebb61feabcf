import type { CanaryResult, DeadLetter, ReplayProgress, ReplayResult } from './dead-letters.js'
import type { DeadReason } from './driver.js'

/** Counts what becomes of the entries of one replay. */
export class ReplayTally {
  replayed = 0
  quarantined = 0
  kept = 0
  failed = 0
  canary: CanaryResult | undefined
  readonly #reasons: Partial<Record<DeadReason, number>> = {}
  readonly #errors = new Map<string, number>()

  matched({ reason, error }: DeadLetter<unknown>): void {
    this.#reasons[reason] = (this.#reasons[reason] ?? 0) + 1
    if (error) this.#errors.set(error.name, (this.#errors.get(error.name) ?? 0) + 1)
  }

  progress(phase: ReplayProgress['phase']): ReplayProgress {
    const { replayed, quarantined, kept, failed } = this
    return { phase, replayed, quarantined, kept, failed }
  }

  result(): ReplayResult {
    const { replayed, quarantined, kept, failed, canary } = this
    return {
      replayed,
      quarantined,
      kept,
      failed,
      reasons: this.#reasons,
      errors: Object.fromEntries(this.#errors),
      ...(canary && { canary }),
    }
  }
}
