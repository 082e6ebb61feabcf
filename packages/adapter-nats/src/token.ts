import type { Msg } from '@nats-io/transport-node'
import type { Decoded, Origin } from './wire.js'

/** A delivery, and until when it is ours. */
export class Token {
  /** The receiver it came to. */
  readonly owner: object
  readonly native: Msg
  /** Where the server listens for what becomes of it. */
  readonly ackSubject: string
  readonly origin: Origin
  readonly decoded: Decoded
  /** Hand-overs of this message in all copies, this one included. */
  readonly deliveries: number
  readonly attempt: number
  /** Elapsed ms at which the lease ends, by this process's clock: later than that the server may have given it away. */
  until: number
  settled = false

  constructor(
    owner: object,
    native: Msg,
    ackSubject: string,
    origin: Origin,
    decoded: Decoded,
    until: number,
  ) {
    this.owner = owner
    this.native = native
    this.ackSubject = ackSubject
    this.origin = origin
    this.decoded = decoded
    this.until = until
    // The first hand-over of a delayed message is the one that it is held back at.
    const handed = Math.max(1, decoded.delayMs > 0 ? origin.handed - 1 : origin.handed)
    this.deliveries = decoded.deliveries + handed
    this.attempt = decoded.attempt + handed - 1
  }
}
