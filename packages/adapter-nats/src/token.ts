import type { Msg } from '@nats-io/transport-node'
import type { Arrival } from './intake.js'
import type { Outlet } from './outlets.js'
import type { Decoded, Origin } from './wire.js'

/** Hand-overs of a message that were given back unprocessed. */
export interface Released {
  /** Of the message, as its origin has it. */
  readonly id: string
  readonly attempts: number
  /** Those that the core was not given. */
  readonly deliveries: number
}

/** A delivery, and until when it is ours. */
export class Token {
  /** The receiver it came to. */
  readonly owner: object
  readonly native: Msg
  readonly outlet: Outlet
  /** Where the server listens for what becomes of it. */
  readonly ackSubject: string
  readonly origin: Origin
  readonly decoded: Decoded
  released: Released
  /** Elapsed ms at which the lease ends, by this process's clock: later than that the server may have given it away. */
  until: number
  settled = false

  constructor(
    owner: object,
    { native, outlet, ackSubject, origin }: Arrival,
    decoded: Decoded,
    until: number,
  ) {
    this.owner = owner
    this.native = native
    this.outlet = outlet
    this.ackSubject = ackSubject
    this.origin = origin
    this.decoded = decoded
    this.released = { id: origin.id, attempts: 0, deliveries: 0 }
    this.until = until
  }

  /** What the server knows a copy of it by. Of a message in a topic each subscription makes its own. */
  get copyId(): string {
    return this.outlet.topic ? `${this.origin.id}:${this.outlet.consumer}` : this.origin.id
  }

  /** Hand-overs of this message in all copies, this one included. */
  get deliveries(): number {
    return this.decoded.deliveries + this.#handed - this.released.deliveries
  }

  get attempt(): number {
    return this.decoded.attempt + this.#handed - 1 - this.released.attempts
  }

  /** The first hand-over of a delayed message is the one that it is held back at. */
  get #handed(): number {
    return Math.max(1, this.decoded.delayMs > 0 ? this.origin.handed - 1 : this.origin.handed)
  }
}
