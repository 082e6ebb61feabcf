import type { ConsumeMessage } from 'amqplib'
import type { ConsumerChannel } from './consumer-channel.js'

/** A delivery, and the channel on which alone its tag means something. */
export class Token {
  readonly owner: ConsumerChannel
  readonly message: ConsumeMessage
  /** Settled, or being settled. */
  settled = false

  constructor(owner: ConsumerChannel, message: ConsumeMessage) {
    this.owner = owner
    this.message = message
  }
}
