import type { Batch, BatchHandler } from './batch-handler.js'
import { MsgloopError } from './error.js'
import type { Message } from './message.js'

interface Member {
  readonly done: () => void
  readonly failed: (error: unknown) => void
}

/** One batch: its handler runs once each of its messages has begun, or turned out not to. */
export class RunningBatch<T> implements Batch<T> {
  readonly signal: AbortSignal
  readonly #at: string
  readonly #handler: BatchHandler<T>
  readonly #over: () => void
  /** In the order of the queue; what has not joined yet is `undefined`. */
  readonly #members: Map<Message<T>, Member | undefined>
  readonly #failed = new Map<Message<T>, unknown>()
  #state: 'gathering' | 'running' | 'over' = 'gathering'

  constructor(at: string, handler: BatchHandler<T>, messages: readonly Message<T>[], over: () => void) {
    this.#at = at
    this.#handler = handler
    this.#over = over
    this.#members = new Map(messages.map((message) => [message, undefined]))
    this.signal = AbortSignal.any(messages.map(({ signal }) => signal))
    this.signal.addEventListener('abort', () => this.#abandon(), { once: true })
  }

  /** The attempt of a message has begun. Ends as that of the batch does. */
  join(message: Message<T>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#members.set(message, { done: resolve, failed: reject })
      this.#startIfAll()
    })
  }

  /** The attempt of a message is over; if it never began the batch does without it. */
  without(message: Message<T>): void {
    if (this.#state !== 'gathering') return
    this.#members.delete(message)
    this.#startIfAll()
  }

  fail(message: Message<T>, error: unknown): void {
    if (this.#state !== 'running' || !this.#members.has(message))
      throw new MsgloopError(
        'INVALID',
        `${this.#at}: ${
          this.#state === 'running'
            ? 'fail() takes a message of this batch'
            : 'fail() comes too late: the batch is over'
        }`,
      )
    this.#failed.set(message, error)
  }

  #startIfAll(): void {
    for (const member of this.#members.values()) if (!member) return
    this.#state = 'running'
    void this.#run()
  }

  async #run(): Promise<void> {
    let thrown: { readonly error: unknown } | undefined
    try {
      if (this.#members.size > 0) await this.#handler([...this.#members.keys()], this)
    } catch (error) {
      thrown = { error }
    }
    if (this.#state === 'over') return
    this.#state = 'over'
    for (const [message, member] of this.#members) {
      if (this.#failed.has(message)) member?.failed(this.#failed.get(message))
      else if (thrown) member?.failed(thrown.error)
      else member?.done()
    }
    this.#over()
  }

  /** A handler that took too long has failed, whatever it does later: it makes room for another batch. */
  #abandon(): void {
    const { reason } = this.signal
    if (this.#state !== 'running' || !(reason instanceof MsgloopError && reason.code === 'TIMEOUT')) return
    this.#state = 'over'
    for (const member of this.#members.values()) member?.failed(reason)
    this.#over()
  }
}
