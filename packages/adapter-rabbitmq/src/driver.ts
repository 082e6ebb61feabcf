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
import { RabbitmqAdmin } from './admin.js'
import { capabilities } from './capabilities.js'
import { Connection } from './connection.js'
import { classify } from './errors.js'
import { PartitionedReceiver } from './partitioned-receiver.js'
import { Publisher } from './publisher.js'
import { RabbitmqReceiver } from './receiver.js'
import { RabbitmqReplies } from './replies.js'
import { RabbitmqSender } from './sender.js'
import { RabbitmqTopicSender } from './topic-sender.js'
import { checked } from './topology.js'
import type { Target } from './url.js'

/**
 * Two connections, each opened on first use. Under a memory or disk alarm the broker stops reading from
 * connections that publish, and would with them stop reading acks, which are what relieves it.
 */
export class RabbitmqDriver implements Driver {
  readonly name = 'rabbitmq'
  readonly address: string
  readonly capabilities: Capabilities = capabilities
  readonly admin: Admin
  readonly replies: Replies
  readonly #sending: Connection
  readonly #receiving: Connection
  #copies: Promise<Publisher> | undefined

  constructor(target: Target) {
    this.address = target.address
    this.#sending = new Connection(target, 'send')
    this.#receiving = new Connection(target, 'receive')
    // Looking and purging must work under an alarm, too.
    this.admin = new RabbitmqAdmin((signal) =>
      (this.#sending.current?.blocked ? this.#receiving : this.#sending).open(signal),
    )
    this.replies = new RabbitmqReplies(this.#receiving, () => this.#copier())
  }

  async connect(signal: AbortSignal): Promise<void> {
    const session = await this.#sending.open(signal)
    if (session.blocked) throw session.blocked
    await session.scratch(async () => {}, signal)
  }

  async openSender(destination: Destination, signal: AbortSignal): Promise<Sender> {
    const spec = checked(destination)
    const session = await this.#sending.open(signal)
    return spec.kind === 'topic'
      ? RabbitmqTopicSender.open(session, spec.name, signal)
      : RabbitmqSender.open(session, spec, signal)
  }

  async openReceiver(source: Source, options: ReceiverOptions, signal: AbortSignal): Promise<Receiver> {
    const { name, order } = checked(source)
    const session = await this.#receiving.open(signal)
    const copies = (): Promise<Publisher> => this.#copier()
    return order === 'none'
      ? RabbitmqReceiver.open(session, name, options, copies, signal)
      : PartitionedReceiver.open(session, source, options, copies, signal)
  }

  classify(error: unknown): Classified {
    return classify(error)
  }

  native(): unknown {
    return { send: this.#sending.current?.model, receive: this.#receiving.current?.model }
  }

  async close(): Promise<void> {
    await Promise.all([this.#sending.close(), this.#receiving.close()])
  }

  /** One publisher for answers, and for the retries and moves of all receivers, opened by the first and after each loss. */
  async #copier(): Promise<Publisher> {
    const before = this.#copies
    const publisher = await before?.catch(() => undefined)
    if (publisher && !publisher.lost) return publisher
    if (this.#copies === before)
      this.#copies = this.#sending.open().then((session) => Publisher.open(session))
    return this.#copies ?? this.#copier()
  }
}
