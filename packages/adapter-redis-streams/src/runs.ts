import type { Packable } from './msgpack.js'

/**
 * A batch as `SEND` takes it. Messages in a row that wait equally long and have the same fields, but for id and
 * body, are one run, so that those travel once: `{ delay, fields, { id, body, id, body, … } }`.
 */
export class Runs {
  readonly runs: Packable[] = []
  #delayMs = -1
  #fields: readonly string[] = []
  #values: Packable[] = []

  /** `fields` are names and values by turns. */
  add(delayMs: number, id: string, body: Uint8Array, fields: readonly string[]): void {
    if (delayMs !== this.#delayMs || !equal(fields, this.#fields)) {
      this.#delayMs = delayMs
      this.#fields = fields
      this.#values = []
      this.runs.push([delayMs, fields, this.#values])
    }
    this.#values.push(id, body)
  }
}

function equal(some: readonly string[], others: readonly string[]): boolean {
  if (some.length !== others.length) return false
  for (let n = 0; n < some.length; n++) if (some[n] !== others[n]) return false
  return true
}
