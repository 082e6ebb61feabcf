import type { Clock } from './clock.js'

/** A window moves in steps of a tenth of it: the oldest runs may be forgotten so much too early. */
const STEPS = 10

interface Step {
  readonly number: number
  failed: number
  all: number
}

/** How many runs of the last while failed, however many there were: counted in steps, not kept. */
export class RecentRuns {
  readonly #stepMs: number
  readonly #clock: Clock
  #steps: Step[] = []

  constructor(withinMs: number, clock: Clock) {
    this.#stepMs = withinMs / STEPS
    this.#clock = clock
  }

  add(failed: boolean): void {
    const number = this.#now()
    let step = this.#steps.at(-1)
    if (step?.number !== number) {
      step = { number, failed: 0, all: 0 }
      this.#steps = [...this.#steps.filter((each) => each.number > number - STEPS), step]
    }
    step.all++
    if (failed) step.failed++
  }

  count(): { readonly failed: number; readonly all: number } {
    const oldest = this.#now() - STEPS
    let failed = 0
    let all = 0
    for (const step of this.#steps) {
      if (step.number <= oldest) continue
      failed += step.failed
      all += step.all
    }
    return { failed, all }
  }

  clear(): void {
    this.#steps = []
  }

  #now(): number {
    return Math.floor(this.#clock.elapsed() / this.#stepMs)
  }
}
