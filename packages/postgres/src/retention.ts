import { performance } from 'node:perf_hooks'
import type { Pool } from 'pg'
import { ClockWatch } from './clock-watch.js'

const EVERY_MS = 60_000
/** Rows of one statement: none of them is locked for long. */
const BATCH = 1_000

/** Deletes rows that are old enough, now and then, in small batches, beside what else goes on. */
export class Retention {
  readonly #pool: Pool
  readonly #statement: string
  readonly #values: readonly unknown[]
  readonly #keepMs: number
  readonly #clock = new ClockWatch()
  #due = 0
  #running: Promise<void> | undefined

  /** `statement` deletes at most `$1` rows from before `$2`; further values follow. */
  constructor(pool: Pool, statement: string, values: readonly unknown[], keepMs: number) {
    this.#pool = pool
    this.#statement = statement
    this.#values = values
    this.#keepMs = keepMs
  }

  /** To be called when there is work anyway: an idle process makes nothing old, and needs no timer. */
  nudge(onError: (error: unknown) => void): void {
    if (this.#running || performance.now() < this.#due) return
    this.#due = performance.now() + EVERY_MS
    this.#running = this.run()
      .then(() => {}, onError)
      .finally(() => {
        this.#running = undefined
      })
  }

  /** Resolves with how many were deleted. */
  async run(): Promise<number> {
    const { rows } = await this.#pool.query('SELECT extract(epoch FROM clock_timestamp()) * 1000 AS now')
    const now = Number(rows[0]?.now)
    this.#clock.look(now, performance.now())
    const before = new Date(now - this.#keepMs - this.#clock.aheadMs)
    for (let deleted = 0; ; ) {
      const { rowCount } = await this.#pool.query(this.#statement, [BATCH, before, ...this.#values])
      deleted += rowCount ?? 0
      if ((rowCount ?? 0) < BATCH) return deleted
    }
  }
}
