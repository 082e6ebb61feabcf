const SMALLEST = 16

/** First in, first out, in constant time: a ring that doubles when full and halves when mostly empty. */
export class Deque<T> {
  #ring: (T | undefined)[] = new Array(SMALLEST)
  #head = 0
  #size = 0

  get size(): number {
    return this.#size
  }

  push(item: T): void {
    if (this.#size === this.#ring.length) this.#resize(this.#size * 2)
    this.#ring[(this.#head + this.#size) & (this.#ring.length - 1)] = item
    this.#size++
  }

  peek(): T | undefined {
    return this.#ring[this.#head]
  }

  shift(): T | undefined {
    const item = this.#ring[this.#head]
    if (this.#size === 0) return undefined
    this.#ring[this.#head] = undefined
    this.#head = (this.#head + 1) & (this.#ring.length - 1)
    this.#size--
    if (this.#ring.length > SMALLEST && this.#size < this.#ring.length / 4)
      this.#resize(this.#ring.length / 2)
    return item
  }

  /** Empties the deque; what was in it, first to last. */
  drain(): T[] {
    const items: T[] = []
    for (let item = this.shift(); item !== undefined; item = this.shift()) items.push(item)
    return items
  }

  #resize(length: number): void {
    const ring: (T | undefined)[] = new Array(length)
    for (let i = 0; i < this.#size; i++) ring[i] = this.#ring[(this.#head + i) & (this.#ring.length - 1)]
    this.#ring = ring
    this.#head = 0
  }
}
