import type {
  Admin,
  Capabilities,
  Classified,
  Destination,
  Driver,
  Receiver,
  ReceiverOptions,
  Replies,
  Sender,
  Source,
} from '@msgloop/core/driver'
import { NatsAdmin } from './admin.js'
import { capabilities } from './capabilities.js'
import { Connection } from './connection.js'
import { classify } from './errors.js'
import { NatsReceiver } from './receiver.js'
import { NatsReplies } from './replies.js'
import { NatsSender } from './sender.js'
import { checked } from './topology.js'
import type { Target } from './url.js'

/** One connection, opened on first use and again after each loss. Leases outlive it. */
export class NatsDriver implements Driver {
  readonly name = 'nats'
  readonly address: string
  readonly capabilities: Capabilities = capabilities
  readonly admin: Admin
  readonly replies: Replies
  readonly #prefix: string
  readonly #connection: Connection

  constructor(target: Target) {
    this.address = target.address
    this.#prefix = target.prefix
    this.#connection = new Connection(target)
    this.admin = new NatsAdmin(this.#connection, target)
    this.replies = new NatsReplies(this.#connection)
  }

  async connect(signal: AbortSignal): Promise<void> {
    const session = await this.#connection.open(signal)
    await session.prove(signal)
  }

  async openSender(destination: Destination, signal: AbortSignal): Promise<Sender> {
    checked(destination)
    return new NatsSender(await this.#connection.open(signal), this.#prefix, destination)
  }

  async openReceiver(source: Source, options: ReceiverOptions, signal: AbortSignal): Promise<Receiver> {
    return NatsReceiver.open(this.#connection, this.#prefix, checked(source), options, signal)
  }

  classify(error: unknown): Classified {
    return classify(error)
  }

  native(): unknown {
    return this.#connection.current?.nc
  }

  async close(): Promise<void> {
    await this.#connection.close()
  }
}
