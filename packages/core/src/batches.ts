import type { BatchHandler } from './batch-handler.js'
import type { CancelTimer, Clock } from './clock.js'
import type { Handler, Middleware } from './consumer.js'
import { MsgloopError } from './error.js'
import type { Message } from './message.js'
import { RunningBatch } from './running-batch.js'

export interface BatchesOptions {
  readonly at: string
  readonly size: number
  readonly waitMs: number
  /** Batches at once. */
  readonly most: number
}

/** A message that waits for its batch. */
interface Candidate<T> {
  readonly message: Message<T>
  readonly admit: (batch: RunningBatch<T>) => void
}

/**
 * Makes batches of what a consumer loop runs one by one. A message waits in `gather`, which is no attempt yet, until its
 * batch is full or due; `handle` then ends as the batch's handler says.
 */
export class Batches<T> {
  most: number
  readonly #clock: Clock
  readonly #handler: BatchHandler<T>
  readonly #options: BatchesOptions
  readonly #line = new Set<Candidate<T>>()
  readonly #batchOf = new WeakMap<Message<unknown>, RunningBatch<T>>()
  #due: CancelTimer | undefined
  /** The first in line has waited for as long as it should. */
  #overdue = false
  #running = 0

  constructor(clock: Clock, handler: BatchHandler<T>, options: BatchesOptions) {
    this.#clock = clock
    this.#handler = handler
    this.#options = options
    this.most = options.most
  }

  get running(): number {
    return this.#running
  }

  readonly gather: Middleware = Object.assign(
    async (message: Message<unknown>, next: () => Promise<unknown>): Promise<unknown> => {
      const batch = await this.#admitted(message as Message<T>)
      this.#batchOf.set(message, batch)
      try {
        return await next()
      } finally {
        batch.without(message as Message<T>)
      }
    },
    { waits: true },
  )

  readonly handle: Handler<T> = (_, message) => {
    const batch = this.#batchOf.get(message)
    if (!batch) throw new MsgloopError('UNKNOWN', `${this.#options.at}: message ${message.id} has no batch`)
    return batch.join(message)
  }

  #admitted(message: Message<T>): Promise<RunningBatch<T>> {
    const { signal } = message
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason)
      const leave = (): void => {
        this.#line.delete(candidate)
        if (this.#line.size === 0) this.#notDue()
        reject(signal.reason)
      }
      const candidate: Candidate<T> = {
        message,
        admit(batch) {
          signal.removeEventListener('abort', leave)
          resolve(batch)
        },
      }
      this.#line.add(candidate)
      signal.addEventListener('abort', leave, { once: true })
      this.#form()
    })
  }

  #form(): void {
    const { size, waitMs } = this.#options
    while (this.#running < this.most && (this.#line.size >= size || (this.#overdue && this.#line.size > 0))) {
      this.#notDue()
      const candidates = [...this.#line].slice(0, size)
      const messages = candidates.map(({ message }) => message)
      const batch = new RunningBatch(this.#options.at, this.#handler, messages, () => {
        this.#running--
        this.#form()
      })
      this.#running++
      for (const candidate of candidates) {
        this.#line.delete(candidate)
        candidate.admit(batch)
      }
    }
    if (this.#line.size === 0 || this.#overdue) return
    this.#due ??= this.#clock.after(waitMs, () => {
      this.#due = undefined
      this.#overdue = true
      this.#form()
    })
  }

  #notDue(): void {
    this.#due?.()
    this.#due = undefined
    this.#overdue = false
  }
}
