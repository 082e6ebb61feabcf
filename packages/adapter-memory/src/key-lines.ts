import { type Due, DueHeap } from './due-heap.js'
import type { Holder } from './lease.js'
import type { Ready } from './ready.js'
import type { StoredMessage } from './stored-message.js'

/** The messages of one key, in line. Its `at` is the place of the first one that is ready. */
class Line implements Due {
  readonly key: unknown
  readonly order: number
  readonly waiting = new DueHeap<StoredMessage>()
  /** How many of the key are held, all by one holder. */
  held = 0
  holder: Holder | undefined
  /** How many of the key wait for a retry. */
  stalled = 0
  /** Where it is filed, if anybody can be given its first message. */
  filed: DueHeap<Line> | undefined
  at = 0
  slot = -1

  constructor(key: unknown, order: number) {
    this.key = key
    this.order = order
  }
}

/**
 * The ready messages of a queue with order by key. While a receiver holds messages of a key only it is given
 * more of them; while one of them waits for its retry nobody is. Across keys the oldest comes first.
 */
export class KeyLines implements Ready {
  readonly #lines = new Map<unknown, Line>()
  /** Lines of which nobody holds anything. */
  readonly #free = new DueHeap<Line>()
  readonly #ofHolder = new WeakMap<Holder, DueHeap<Line>>()
  #made = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  add(stored: StoredMessage, place: number): void {
    stored.place = place
    stored.at = place
    const line = this.#line(stored)
    line.waiting.push(stored)
    this.#size++
    this.#file(line)
  }

  next(holder?: Holder): StoredMessage | undefined {
    const free = this.#free.peek()
    const own = holder && this.#ofHolder.get(holder)?.peek()
    return (own && !(free && free.at < own.at) ? own : free)?.waiting.peek()
  }

  take(stored: StoredMessage, holder: Holder): void {
    const line = this.#line(stored)
    line.held++
    line.holder = holder
    this.#out(line, stored)
  }

  drop(stored: StoredMessage): void {
    this.#out(this.#line(stored), stored)
  }

  end(stored: StoredMessage): void {
    const line = this.#line(stored)
    if (--line.held === 0) line.holder = undefined
    this.#file(line)
  }

  stall(stored: StoredMessage): void {
    const line = this.#line(stored)
    line.stalled++
    this.#file(line)
  }

  proceed(stored: StoredMessage): void {
    const line = this.#line(stored)
    line.stalled--
    this.#file(line)
  }

  drain(): StoredMessage[] {
    const all = [...this.#lines.values()].flatMap((line) => {
      const drained = line.waiting.drain()
      this.#file(line)
      return drained
    })
    this.#size = 0
    return all
  }

  #out(line: Line, stored: StoredMessage): void {
    line.waiting.remove(stored)
    this.#size--
    this.#file(line)
  }

  /** Without a key a message is in nobody's way. */
  #line(stored: StoredMessage): Line {
    const key = stored.message.key ?? stored
    let line = this.#lines.get(key)
    if (!line) {
      line = new Line(key, this.#made++)
      this.#lines.set(key, line)
    }
    return line
  }

  #file(line: Line): void {
    line.filed?.remove(line)
    line.filed = undefined
    const first = line.waiting.peek()
    if (!first && line.held + line.stalled === 0) this.#lines.delete(line.key)
    if (!first || line.stalled > 0) return
    line.at = first.place
    line.filed = line.holder ? this.#heapOf(line.holder) : this.#free
    line.filed.push(line)
  }

  #heapOf(holder: Holder): DueHeap<Line> {
    const heap = this.#ofHolder.get(holder) ?? new DueHeap<Line>()
    this.#ofHolder.set(holder, heap)
    return heap
  }
}
