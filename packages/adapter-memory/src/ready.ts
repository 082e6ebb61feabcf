import { Deque } from './deque.js'
import { DueHeap } from './due-heap.js'
import type { Holder } from './lease.js'
import type { StoredMessage } from './stored-message.js'

/** Messages of a queue that nobody holds and that wait for nothing, and who may have which of them next. */
export interface Ready {
  readonly size: number
  /** Behind all others, or, given one, at the place it had. */
  add(stored: StoredMessage, place: number, returned: boolean): void
  /** What `holder` is to be given next; without one, what anybody could be given. */
  next(holder?: Holder): StoredMessage | undefined
  /** Hands it over. */
  take(stored: StoredMessage, holder: Holder): void
  /** Takes it out without handing it over. */
  drop(stored: StoredMessage): void
  /** A message that was taken is held no more. */
  end(stored: StoredMessage): void
  /** It waits for a retry and keeps its turn: nothing behind it is ready until `proceed`. */
  stall(stored: StoredMessage): void
  proceed(stored: StoredMessage): void
  drain(): StoredMessage[]
}

/** In the order they became ready. */
export class ReadyQueue implements Ready {
  readonly #ready = new Deque<StoredMessage>()
  /** Ready too, and given back: each takes its place again, so that taking to look changes no order. */
  readonly #returned = new DueHeap<StoredMessage>()

  get size(): number {
    return this.#ready.size + this.#returned.size
  }

  add(stored: StoredMessage, place: number, returned: boolean): void {
    stored.place = place
    if (returned) {
      stored.at = place
      this.#returned.push(stored)
    } else this.#ready.push(stored)
  }

  next(): StoredMessage | undefined {
    const ready = this.#ready.peek()
    const returned = this.#returned.peek()
    return returned && !(ready && ready.place < returned.place) ? returned : ready
  }

  take(stored: StoredMessage): void {
    this.drop(stored)
  }

  drop(stored: StoredMessage): void {
    if (this.#returned.peek() === stored) this.#returned.pop()
    else this.#ready.shift()
  }

  end(): void {}

  stall(): void {}

  proceed(): void {}

  drain(): StoredMessage[] {
    return [...this.#ready.drain(), ...this.#returned.drain()]
  }
}
