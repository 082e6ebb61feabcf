import type { Entry } from './entry.js'

/** One hand-over. */
export class Token {
  readonly entry: Entry
  /** What makes it one hand-over of its entry, and is equal for all that were taken at once: `/<deliveries>/<nonce>`. */
  readonly holding: string
  /** Of a queue with order by key, if it has one: settling it passes the turn on. */
  readonly key: string | undefined
  /** Of the clock's `elapsed`: afterwards it may be somebody else's. */
  until: number
  /** Settled, or being settled. */
  settled = false

  constructor(entry: Entry, deliveries: number, nonce: string, until: number, key: string | undefined) {
    this.entry = entry
    this.holding = `/${deliveries}/${nonce}`
    this.key = key
    this.until = until
  }

  /** Its member of the sorted set `leases`: `<entry id>/<deliveries>/<nonce>`. */
  get member(): string {
    return this.entry.id + this.holding
  }
}
