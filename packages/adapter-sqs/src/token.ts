import type { Message } from '@aws-sdk/client-sqs'
import { DriverError, systemClock } from '@msgloop/core/driver'
import { LEASE_CAP_MS } from './delay.js'
import { type Decoded, decode } from './wire.js'

/**
 * One receipt of a message. SQS lets an old handle of a standard queue delete what somebody else holds by now, so
 * whether a delivery is still ours is decided here, by a clock that is never set back.
 */
export class Token {
  readonly native: Message
  readonly decoded: Decoded
  readonly handle: string
  readonly #receivedAt: number
  readonly #givenBack: number
  /** When the message becomes visible to others. */
  leasedUntil: number
  /** Receipts of this stored message that were no delivery, as its delay was not over. */
  hops = 0
  /** Settled, or being settled. */
  settled = false
  /** A copy of it is stored: all that is left to do is to delete it, whatever the verdict. */
  copied = false

  /** @param givenBack receipts of this stored message that were given back, as far as we know */
  constructor(native: Message, leaseMs: number, givenBack = 0) {
    this.native = native
    this.decoded = decode(native)
    this.handle = native.ReceiptHandle ?? ''
    this.#givenBack = givenBack
    this.#receivedAt = systemClock.elapsed()
    this.leasedUntil = this.#receivedAt + leaseMs
  }

  get lost(): boolean {
    return systemClock.elapsed() >= this.leasedUntil
  }

  get attempt(): number {
    return this.decoded.before.attempts + Math.max(1, this.decoded.count - this.hops - this.#givenBack)
  }

  /** SQS's own id of the stored message. */
  get nativeId(): string {
    return this.native.MessageId ?? ''
  }

  get deliveries(): number {
    return this.decoded.before.deliveries + this.decoded.count - this.hops
  }

  /** How much longer it can be kept invisible, all in all. */
  get capMs(): number {
    return this.#receivedAt + LEASE_CAP_MS - systemClock.elapsed()
  }

  /** Since it was stored, by the broker's clock. */
  ageMs(now: number): number {
    return this.decoded.storedAt > 0 ? Math.max(0, now - this.decoded.storedAt) : 0
  }
}

export function leaseLost(queue: string): DriverError {
  const message = `sqs: the lease of a delivery of queue "${queue}" has run out, and it has gone back there`
  return new DriverError('LEASE_LOST', message)
}
