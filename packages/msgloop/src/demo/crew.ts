import type { Consumer, Queue } from '@msgloop/core'
import { paint } from '../terminal.js'
import { type DoomedWorker, memoryWorker, processWorker } from './doomed-worker.js'
import type { Ledger } from './ledger.js'
import type { Mail } from './mail.js'
import { isMemory } from './own-broker.js'
import type { Report } from './report.js'
import { pretendSmtp } from './smtp.js'
import type { Render } from './templates.js'
import { work } from './worker.js'

/** Worker C is killed on its second mail: it has shown by then that it works. */
const STUCK_AT = 2

/** The workers of the demo: A and B, which are stopped as workers should be, and C, which is killed. */
export class Crew {
  readonly #queue: Queue<Mail>
  readonly #ledger: Ledger
  readonly #say: (line: string) => void
  #workers: Consumer[] = []
  #doomed: DoomedWorker | undefined
  #killing: Promise<void> | undefined
  #dismissed = false

  constructor(queue: Queue<Mail>, ledger: Ledger, say: (line: string) => void) {
    this.#queue = queue
    this.#ledger = ledger
    this.#say = say
  }

  /** What worker C is, for people. */
  get doomed(): string {
    return this.#doomed?.what ?? 'not there yet'
  }

  /** Resolves when worker C is dead; at once when it was never handed the mail to die with. */
  get doomedIsGone(): Promise<void> {
    return this.#killing ?? Promise.resolve()
  }

  async start(render: Render): Promise<void> {
    if (this.#dismissed) return
    const smtp = pretendSmtp((id) => this.#ledger.take({ kind: 'mailed', id }))
    this.#workers = ['A', 'B'].map((name) => work(this.#queue, { name, render, smtp }))
    await Promise.all(this.#workers.map((worker) => worker.ready))
  }

  async startDoomed(url: string, signal: AbortSignal): Promise<void> {
    const orders = { url, queue: this.#queue.name, name: 'C', stuckAt: STUCK_AT }
    const hear = (report: Report): void => {
      if (report.kind === 'stuck') this.#killing = this.#kill(report.id)
      this.#ledger.take(report)
    }
    this.#doomed = isMemory(url)
      ? await memoryWorker(orders, hear)
      : await processWorker(orders, hear, signal)
  }

  /** Lets running handlers finish; no mail is given back half done. */
  async stop(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.close()))
  }

  /** Whatever state the demo is in. */
  async dismiss(): Promise<void> {
    this.#dismissed = true
    await Promise.all([
      this.#doomed?.kill(),
      ...this.#workers.map((worker) => worker.close({ timeout: '1s' })),
    ])
  }

  async #kill(id: string): Promise<void> {
    const { death = '', kill } = this.#doomed ?? {}
    this.#say(paint.magenta(` ☠ ${id}: worker C has sent it, and dies before it can ack: ${death}`))
    this.#ledger.killed(id, 'C')
    await kill?.()
  }
}
