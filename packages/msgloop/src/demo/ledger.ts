import type { FlowEvent } from '@msgloop/core'
import type { Report } from './report.js'

/** One thing that happened to a message. */
export type Step = FlowEvent | { readonly step: 'killed'; readonly consumer: string; readonly at: number }

/** The life of one message so far, as its flow events tell it. */
export interface Life {
  readonly id: string
  readonly steps: Step[]
  state: 'open' | 'processed' | 'dead'
}

interface Wait {
  readonly over: () => boolean
  readonly resolve: () => void
}

/** Keeps what the workers report: the life of each message, and which e-mails went out. */
export class Ledger {
  /** One id for each e-mail that went out. */
  readonly mailed: string[] = []
  readonly #queue: string
  readonly #lives = new Map<string, Life>()
  readonly #onEnd: (life: Life) => void
  readonly #waits = new Set<Wait>()

  /** `onEnd` is told of each life that ends, again when a replayed one ends again. */
  constructor(queue: string, onEnd: (life: Life) => void) {
    this.#queue = queue
    this.#onEnd = onEnd
  }

  take(report: Report): void {
    if (report.kind === 'mailed') this.mailed.push(report.id)
    if (report.kind === 'flow' && report.event.queue === this.#queue) this.#step(report.event)
    this.#look()
  }

  /** The worker that held this message is no more. */
  killed(id: string, consumer: string): void {
    this.#life(id).steps.push({ step: 'killed', consumer, at: Date.now() })
  }

  /** Resolves when all of `ids` are processed or dead. */
  ended(ids: readonly string[]): Promise<void> {
    const over = (): boolean => ids.every((id) => (this.#lives.get(id)?.state ?? 'open') !== 'open')
    return new Promise((resolve) => {
      this.#waits.add({ over, resolve })
      this.#look()
    })
  }

  #step(event: FlowEvent): void {
    const life = this.#life(event.messageId)
    life.steps.push(event)
    switch (event.step) {
      case 'acked':
        this.#end(life, 'processed')
        break
      case 'dead-lettered':
      case 'rejected':
      case 'expired':
        this.#end(life, 'dead')
        break
      case 'replayed':
        // A quick worker may have processed it before its replay is reported.
        if (life.state === 'dead') life.state = 'open'
    }
  }

  #life(id: string): Life {
    const life = this.#lives.get(id) ?? { id, steps: [], state: 'open' }
    this.#lives.set(id, life)
    return life
  }

  #end(life: Life, state: 'processed' | 'dead'): void {
    life.state = state
    this.#onEnd(life)
  }

  #look(): void {
    for (const wait of this.#waits) {
      if (!wait.over()) continue
      this.#waits.delete(wait)
      wait.resolve()
    }
  }
}
