/**
 * Bounds what has been sent and not confirmed, over all queues of a broker, in messages and bytes.
 * A single message larger than the bound may still pass alone.
 */
export class SendBudget {
  readonly #maxCount: number
  readonly #maxBytes: number
  #count = 0
  #bytes = 0
  readonly #waiting = new Set<() => void>()

  constructor(maxCount: number, maxBytes: number) {
    this.#maxCount = maxCount
    this.#maxBytes = maxBytes
  }

  /** Takes a place, or calls `wake` once when it is worth asking again. */
  take(bytes: number, wake: () => void): boolean {
    if (this.#count > 0 && (this.#count >= this.#maxCount || this.#bytes + bytes > this.#maxBytes)) {
      this.#waiting.add(wake)
      return false
    }
    this.#count++
    this.#bytes += bytes
    return true
  }

  give(bytes: number): void {
    this.#count--
    this.#bytes -= bytes
    if (this.#waiting.size === 0) return
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const wake of waiting) wake()
  }
}
