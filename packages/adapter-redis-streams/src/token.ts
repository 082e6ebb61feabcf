import type { Entry } from './wire.js'

/** One hand-over. */
export class Token {
  readonly entry: Entry
  /** Its member of the sorted set `leases`: `<entry id>/<deliveries>/<nonce>`. */
  readonly member: string
  /** Of a queue with order by key, if it has one: settling it passes the turn on. */
  readonly key: string | undefined
  /** Of the clock's `elapsed`: afterwards it may be somebody else's. */
  until: number
  /** Settled, or being settled. */
  settled = false

  constructor(entry: Entry, deliveries: number, nonce: string, until: number, key: string | undefined) {
    this.entry = entry
    this.member = `${entry.id}/${deliveries}/${nonce}`
    this.key = key
    this.until = until
  }
}
