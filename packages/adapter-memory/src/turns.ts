/** Messages between two turns: enough to make a turn's cost vanish, and a turn last well under 1 ms. */
const MESSAGES_PER_TURN = 256

/**
 * Nothing here waits for I/O, so a busy program would run on promises alone and starve timers and
 * sockets. Every so many messages whoever calls waits for one turn of the event loop.
 */
export class Turns {
  #left = MESSAGES_PER_TURN

  spend(messages: number): void {
    this.#left -= messages
  }

  /** To be awaited when it is time for a turn. */
  due(): Promise<void> | undefined {
    if (this.#left > 0) return undefined
    this.#left = MESSAGES_PER_TURN
    return new Promise((resolve) => setImmediate(resolve))
  }
}
