/** Requests that are made at once are stored in any order: here those that share a group wait for one another. */
export class Turns {
  /** The last one of each group that has any under way. */
  readonly #last = new Map<string, Promise<unknown>>()

  /** Does the work when all that was begun before for any of its groups is over, however it ended. */
  async take<T>(groups: ReadonlySet<string>, work: () => Promise<T>): Promise<T> {
    const before = [...groups].flatMap((group) => this.#last.get(group) ?? [])
    const mine = before.length === 0 ? work() : Promise.allSettled(before).then(work)
    for (const group of groups) this.#last.set(group, mine)
    try {
      return await mine
    } finally {
      for (const group of groups) if (this.#last.get(group) === mine) this.#last.delete(group)
    }
  }
}
