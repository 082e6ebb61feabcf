/** Messages remembered at once; the oldest are forgotten first. */
const MOST = 4_096

/**
 * How often this process gave back a message where it stands. SQS counts each receipt, and attempts are counted by
 * that; elsewhere a copy that is not counted is given back, but a copy would lose its turn in a queue ordered by key.
 */
export class GivenBack {
  /** By SQS's id of the stored message. */
  readonly #times = new Map<string, number>()

  of(nativeId: string): number {
    return this.#times.get(nativeId) ?? 0
  }

  /** To be called before it is given back: it may be here again before that is answered. */
  note(nativeId: string): void {
    const times = this.of(nativeId) + 1
    this.#times.delete(nativeId)
    this.#times.set(nativeId, times)
    if (this.#times.size <= MOST) return
    for (const oldest of this.#times.keys()) {
      this.#times.delete(oldest)
      return
    }
  }

  /** It was not given back after all. */
  undo(nativeId: string): void {
    const times = this.of(nativeId) - 1
    if (times > 0) this.#times.set(nativeId, times)
    else this.#times.delete(nativeId)
  }

  forget(nativeId: string): void {
    this.#times.delete(nativeId)
  }
}
