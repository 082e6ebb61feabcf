import type { Book } from './book.js'
import { readBook } from './book.js'
import type { Delivery } from './driver.js'
import type { Judgement } from './judge.js'

/** Messages remembered at once; the oldest are forgotten first. A book is 8 KiB at most. */
const MOST = 4_096

/**
 * What the copy of a retry carries in its headers, for brokers that have no copy: a retry in place
 * changes nothing on the message but the broker's own count. So the number of attempts is the broker's,
 * and the record of each is known for those that failed in this process.
 */
export class AttemptLog {
  readonly #books = new Map<string, Book>()
  readonly #inPlace: boolean

  constructor(retry: 'copy' | 'in-place') {
    this.#inPlace = retry === 'in-place'
  }

  /** The book of a delivery from a work queue. */
  read(queue: string, delivery: Delivery): Book {
    const book = readBook(delivery)
    if (!this.#inPlace || delivery.attempt === undefined || delivery.attempt <= 1) return book
    const before = this.#books.get(keyOf(queue, delivery))
    // A message of the same id, or what another process has gone on with since, has its own past.
    const seen = before !== undefined && before.attempt < delivery.attempt ? before : book
    return {
      ...book,
      total: book.total + delivery.attempt - 1,
      records: seen.records,
      firstAttemptAt: seen.firstAttemptAt,
    }
  }

  /** To be called before a delivery is settled: a retry at once may be back before that is answered. */
  settling(queue: string, delivery: Delivery, { verdict, book }: Judgement): void {
    if (!this.#inPlace || verdict.kind !== 'retry' || !book) return
    const key = keyOf(queue, delivery)
    this.#books.delete(key)
    this.#books.set(key, book)
    if (this.#books.size <= MOST) return
    for (const oldest of this.#books.keys()) {
      this.#books.delete(oldest)
      return
    }
  }

  /** To be called when a delivery was settled. */
  settled(queue: string, delivery: Delivery, { verdict }: Judgement): void {
    if (this.#books.size === 0 || verdict.kind === 'retry' || verdict.kind === 'release') return
    this.#books.delete(keyOf(queue, delivery))
  }
}

function keyOf(queue: string, { message }: Delivery): string {
  return `${queue}\n${message.id}`
}
