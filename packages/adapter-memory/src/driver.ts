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
import { DriverError } from '@msgloop/core/driver'
import { memoryAdmin } from './admin.js'
import type { Connection } from './connection.js'
import { MemoryReceiver } from './receiver.js'
import { memoryReplies } from './replies.js'
import { MemorySender } from './sender.js'

/** One client of a memory broker. */
export class MemoryDriver implements Driver {
  readonly name = 'memory'
  readonly address: string
  readonly capabilities: Capabilities
  readonly admin: Admin
  readonly replies: Replies
  readonly #connection: Connection
  readonly #leave: () => void

  constructor(connection: Connection, leave: () => void) {
    this.address = connection.broker.address
    this.capabilities = connection.broker.profile.capabilities
    this.admin = memoryAdmin(connection)
    this.replies = memoryReplies(connection)
    this.#connection = connection
    this.#leave = leave
  }

  async connect(signal: AbortSignal): Promise<void> {
    this.#connection.check(signal)
  }

  async openSender(destination: Destination, signal: AbortSignal): Promise<Sender> {
    this.#connection.check(signal)
    return new MemorySender(this.#connection, destination)
  }

  async openReceiver(source: Source, options: ReceiverOptions, signal: AbortSignal): Promise<Receiver> {
    this.#connection.check(signal)
    const { name } = source
    const { leaseMs } = this.capabilities.limits
    if (this.capabilities.lease === 'renewable' && !(options.leaseMs > 0 && options.leaseMs <= leaseMs))
      throw new DriverError(
        'INVALID',
        `queue "${name}": a lease of ${options.leaseMs} ms; at most ${leaseMs} ms is possible here`,
      )
    if (!(options.prefetch >= 1))
      throw new DriverError('INVALID', `queue "${name}": a prefetch of ${options.prefetch}; give at least 1`)
    return new MemoryReceiver(this.#connection, this.#connection.broker.existing(name), options)
  }

  classify(error: unknown): Classified {
    if (!(error instanceof DriverError)) return { code: 'UNKNOWN', retryable: false }
    const { code, retryable, outcome } = error
    return { code, retryable, ...(outcome && { outcome }) }
  }

  /** The broker itself; its shape is no promise. */
  native(): unknown {
    return this.#connection.broker
  }

  async close(): Promise<void> {
    if (this.#connection.closed) return
    this.#connection.close()
    this.#leave()
  }
}
