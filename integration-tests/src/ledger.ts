import type { Queue } from '@msgloop/core'
import { MsgloopError } from '@msgloop/core'

/** Looking costs time that the processing needs. */
const LOOK_MS = 50

export type Outcome = 'confirmed' | 'unknown' | 'rejected'

/** What became of a send. */
export async function outcomeOf(sending: Promise<unknown>): Promise<Outcome> {
  try {
    await sending
    return 'confirmed'
  } catch (error) {
    if (!(error instanceof MsgloopError)) throw error
    return error.outcome === 'rejected' ? 'rejected' : 'unknown'
  }
}

/** Who sent what with which outcome, and what was processed: the balance of a fault test. */
export class Ledger {
  readonly confirmed = new Set<string>()
  /** Perhaps stored. */
  readonly unknown = new Set<string>()
  /** Certainly not stored. */
  readonly rejected = new Set<string>()
  readonly #processed = new Map<string, number>()

  /** Sends one message and books its outcome. */
  async send<T>(queue: Queue<T>, body: T, id: string): Promise<void> {
    this.book(id, await outcomeOf(queue.send(body, { id })))
  }

  book(id: string, outcome: Outcome): void {
    this[outcome].add(id)
  }

  processed(id: string): void {
    this.#processed.set(id, (this.#processed.get(id) ?? 0) + 1)
  }

  get processedCount(): number {
    return this.#processed.size
  }

  /** Confirmed and not processed so far. */
  missing(): string[] {
    return [...this.confirmed].filter((id) => !this.#processed.has(id))
  }

  /** Processed although the broker certainly had not taken it: a lie about an outcome. */
  impossible(): string[] {
    return [...this.#processed.keys()].filter((id) => this.rejected.has(id))
  }

  duplicates(): number {
    return [...this.#processed.values()].reduce((sum, times) => sum + times - 1, 0)
  }

  /** Resolves when all that was confirmed is processed; fails when nothing more was for `quietMs`. */
  async settled(quietMs: number): Promise<void> {
    let processed = -1
    let deadline = 0
    while (this.missing().length > 0) {
      // A slow machine is slow, but it gets on.
      if (this.processedCount > processed) deadline = Date.now() + quietMs
      processed = this.processedCount
      if (Date.now() > deadline)
        throw new Error(`${this.missing().length} confirmed messages were not processed: ${this.summary()}`)
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
  }

  summary(): string {
    return `${this.confirmed.size} confirmed, ${this.unknown.size} unknown, ${this.rejected.size} rejected; ${this.#processed.size} processed, ${this.duplicates()} duplicates, ${this.missing().length} lost`
  }
}
