import type { Entry } from './wire.js'

/** One hand-over. */
export class Token {
  readonly entry: Entry
  /** Its member of the sorted set `leases`: `<entry id>/<deliveries>/<nonce>`. */
  readonly member: string
  /** Of the clock's `elapsed`: afterwards it may be somebody else's. */
  until: number
  /** Settled, or being settled. */
  settled = false

  constructor(entry: Entry, deliveries: number, nonce: string, until: number) {
    this.entry = entry
    this.member = `${entry.id}/${deliveries}/${nonce}`
    this.until = until
  }
}
