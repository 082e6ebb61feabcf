/** Something that comes due. `slot` belongs to the heap: −1 while in none. */
export interface Due {
  /** Epoch ms. Never changed while in a heap. */
  at: number
  /** Breaks ties: the lower one comes first. */
  readonly order: number
  slot: number
}

/**
 * The earliest due item first. Items know their place, so that taking one out of the middle (a
 * settled delivery) costs no search and leaves nothing behind until it would have been due.
 */
export class DueHeap<T extends Due> {
  readonly #items: T[] = []

  get size(): number {
    return this.#items.length
  }

  peek(): T | undefined {
    return this.#items[0]
  }

  push(item: T): void {
    this.#rise(item, this.#items.length)
  }

  pop(): T | undefined {
    const first = this.#items[0]
    if (first) this.remove(first)
    return first
  }

  /** Does nothing when `item` is not in this heap. */
  remove(item: T): void {
    const slot = item.slot
    if (this.#items[slot] !== item) return
    item.slot = -1
    const last = this.#items.pop()
    if (last === undefined || last === item) return
    const parent = this.#items[(slot - 1) >> 1]
    if (slot > 0 && parent && before(last, parent)) this.#rise(last, slot)
    else this.#sink(last, slot)
  }

  /** Empties the heap; what was in it, earliest first. */
  drain(): T[] {
    const items = this.#items.splice(0)
    for (const item of items) item.slot = -1
    return items.sort((a, b) => (before(a, b) ? -1 : 1))
  }

  #rise(item: T, from: number): void {
    let slot = from
    while (slot > 0) {
      const up = (slot - 1) >> 1
      const parent = this.#items[up]
      if (!parent || before(parent, item)) break
      this.#put(parent, slot)
      slot = up
    }
    this.#put(item, slot)
  }

  #sink(item: T, from: number): void {
    let slot = from
    for (;;) {
      const left = 2 * slot + 1
      let child = this.#items[left]
      if (!child) break
      const right = this.#items[left + 1]
      if (right && before(right, child)) child = right
      if (before(item, child)) break
      const down = child.slot
      this.#put(child, slot)
      slot = down
    }
    this.#put(item, slot)
  }

  #put(item: T, slot: number): void {
    this.#items[slot] = item
    item.slot = slot
  }
}

function before(a: Due, b: Due): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order)
}
