import type { DriverError } from '@msgloop/core/driver'
import type { Due } from './due-heap.js'
import type { StoredMessage } from './stored-message.js'

/** Who holds deliveries: a receiver, as its queue sees it. */
export interface Holder {
  readonly held: Set<Lease>
  /** Takes the whole receiver away, with all it holds. */
  lose(error: DriverError): void
}

/** The token of a delivery. */
export class Lease implements Due {
  readonly stored: StoredMessage
  readonly holder: Holder
  /** Epoch ms. */
  readonly takenAt: number
  readonly order: number
  /** Settled by its holder; otherwise, when its holder has it no more, it was lost. */
  settled = false
  at: number
  slot = -1

  constructor(stored: StoredMessage, holder: Holder, takenAt: number, at: number) {
    this.stored = stored
    this.holder = holder
    this.takenAt = takenAt
    this.order = stored.order
    this.at = at
  }
}
