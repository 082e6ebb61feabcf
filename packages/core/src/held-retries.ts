import type { Book } from './book.js'
import type { Context } from './context.js'
import { flow } from './flow.js'
import type { Held } from './held.js'
import type { Judgement } from './judge.js'
import { publishSettled } from './steps.js'

/** Messages remembered at once; the oldest are forgotten first. A book is 8 KiB at most. */
const MOST = 4_096

interface Failed {
  readonly held: Held
  /** After the failed attempt. */
  readonly book: Book
  /** Of the clock's `elapsed`. */
  readonly dueAt: number
}

/**
 * Attempts of messages whose retry is waited for in this process, since the broker would lose their turn. When
 * one is given back meanwhile and comes here again, it goes on where it was.
 */
export class HeldRetries {
  readonly #context: Context
  readonly #queue: string
  readonly #consumer: string
  readonly #failed = new Map<string, Failed>()

  constructor(context: Context, queue: string, consumer: string) {
    this.#context = context
    this.#queue = queue
    this.#consumer = consumer
  }

  /** An attempt failed. Returns for how long to wait now. */
  begin(held: Held, judged: Judgement, before: Book, durationMs: number | undefined): number {
    const { delayMs = 0, book = before } = judged
    const { id } = held.delivery.message
    this.#failed.delete(id)
    this.#failed.set(id, { held, book, dueAt: this.#context.clock.elapsed() + delayMs })
    this.#bound()
    held.renew()
    const ending = { queue: this.#queue, consumer: this.#consumer, book: before, judged, durationMs }
    if (flow.hasSubscribers) publishSettled(this.#context, held, ending)
    return delayMs
  }

  /** The book of its next attempt, and for how long that must wait yet; `undefined` where none failed here. */
  read(held: Held, sent: Book): { readonly book: Book; readonly leftMs: number } | undefined {
    const failed = this.#failed.get(held.delivery.message.id)
    // A replayed message, or another one of the same id, has its own past.
    const same =
      failed?.book.replays === sent.replays &&
      (failed.held === held || failed.book.deliveries < sent.deliveries)
    if (!failed || !same) return undefined
    const { book, dueAt } = failed
    return {
      book: { ...book, attempt: book.attempt + 1, deliveries: sent.deliveries },
      leftMs: dueAt - this.#context.clock.elapsed(),
    }
  }

  forget(held: Held): void {
    if (this.#failed.size > 0) this.#failed.delete(held.delivery.message.id)
  }

  #bound(): void {
    if (this.#failed.size <= MOST) return
    for (const oldest of this.#failed.keys()) {
      this.#failed.delete(oldest)
      return
    }
  }
}
