/** Slots of one segment: small, so that one old message does not pin much. */
const SEGMENT = 256

interface Segment<T> {
  readonly slots: (T | undefined)[]
  live: number
}

/**
 * Everything a queue holds, in the order it was stored, whatever its state. It lets `browse` go on
 * after number n although messages came and went since. Numbers are dense and never used again.
 */
export class Ledger<T extends { readonly order: number }> {
  readonly #segments = new Map<number, Segment<T>>()
  #next = 0

  /** The number of the next item to be added. */
  get next(): number {
    return this.#next
  }

  /** Adds the item that was made with number `next`. */
  add(item: T): void {
    this.#next = item.order + 1
    const key = Math.floor(item.order / SEGMENT)
    let segment = this.#segments.get(key)
    if (!segment) {
      segment = { slots: new Array(SEGMENT), live: 0 }
      this.#segments.set(key, segment)
    }
    segment.slots[item.order % SEGMENT] = item
    segment.live++
  }

  remove(item: T): void {
    const key = Math.floor(item.order / SEGMENT)
    const segment = this.#segments.get(key)
    if (segment?.slots[item.order % SEGMENT] !== item) return
    segment.slots[item.order % SEGMENT] = undefined
    segment.live--
    if (segment.live === 0) this.#segments.delete(key)
  }

  /** Items numbered `from` or higher, lowest first. */
  *from(from: number): Generator<T> {
    for (const [key, segment] of this.#segments) {
      if ((key + 1) * SEGMENT <= from) continue
      for (const item of segment.slots) if (item && item.order >= from) yield item
    }
  }
}
