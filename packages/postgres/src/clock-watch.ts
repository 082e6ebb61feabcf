/** A step of the server's clock this small is drift, or a slow answer. */
const TOLERATED_MS = 10_000

/**
 * How far the server's clock has jumped ahead while this process watched it by one that cannot jump. What the
 * jump made look old is kept for as much longer: a mark that goes too early is an effect done twice.
 */
export class ClockWatch {
  #last: { readonly server: number; readonly elapsed: number } | undefined
  #aheadMs = 0

  /** Both in ms: the server's time, and a time of this process that is never set back. */
  look(server: number, elapsed: number): void {
    if (this.#last) {
      const jump = server - this.#last.server - (elapsed - this.#last.elapsed)
      if (jump > TOLERATED_MS) this.#aheadMs += jump
    }
    this.#last = { server, elapsed }
  }

  get aheadMs(): number {
    return this.#aheadMs
  }
}
