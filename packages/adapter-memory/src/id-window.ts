/** Remembers ids for a window of time. Ids leave in the order they came, as all stay equally long. */
export class IdWindow {
  readonly #ms: number
  readonly #until = new Map<string, number>()

  constructor(ms: number) {
    this.#ms = ms
  }

  /** Remembers `id`; false when it is remembered already, which does not lengthen its time. */
  admit(id: string, now: number): boolean {
    if (this.#ms <= 0) return true
    this.#forget(now)
    if (this.#until.has(id)) return false
    this.#until.set(id, now + this.#ms)
    return true
  }

  isEmpty(now: number): boolean {
    this.#forget(now)
    return this.#until.size === 0
  }

  #forget(now: number): void {
    for (const [id, until] of this.#until) {
      if (until > now) return
      this.#until.delete(id)
    }
  }
}
