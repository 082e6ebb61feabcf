import type { Clock } from './clock.js'
import type { Middleware } from './consumer.js'
import type { QueueDefinition } from './define-queue.js'
import type { TopicDefinition } from './define-topic.js'
import type { Capabilities } from './driver.js'
import type { Duration } from './duration.js'
import type { MsgloopError } from './error.js'
import type { Queue } from './queue.js'
import type { Topic } from './topic.js'
import type { BrokerTopology } from './topology-plan.js'

export interface BrokerOptions {
  /**
   * `declare` (default) creates what is missing and refuses what differs. `verify` writes nothing,
   * refuses what is missing and warns of what differs. `none` takes everything as it is.
   */
  readonly topology?: 'declare' | 'verify' | 'none'
  /** Runs around every handler of this broker, outside a consumer's own. */
  readonly middleware?: readonly Middleware[]
  /** Sends not yet confirmed, in all; past it `send` waits. Default 10 000. */
  readonly maxUnconfirmed?: number
  /** Bytes of bodies not yet confirmed, in all; past it `send` waits. Default 64 MiB. */
  readonly maxUnconfirmedBytes?: number
  /** For tests. Default `systemClock`. */
  readonly clock?: Clock
  /** Source of jitter, in [0, 1). For tests. Default `Math.random`. */
  readonly random?: () => number
}

export interface Health {
  readonly status: 'up' | 'down'
  readonly broker: string
  readonly address: string
  readonly latencyMs: number
  readonly error?: MsgloopError
}

/** A connected system, seen through a driver. */
export interface Broker {
  /** The driver's name: `memory`, `rabbitmq`, … */
  readonly name: string
  readonly capabilities: Capabilities
  /**
   * The queue of a definition, or of a name with default options. The same object for the same definition.
   * @throws MsgloopError `UNSUPPORTED` for an option this broker lacks; `INVALID` when another definition has the name
   */
  queue<T>(definition: QueueDefinition<T> | string): Queue<T>
  /**
   * The topic of a definition, or of a name with default options. The same object for the same definition.
   * @throws MsgloopError `UNSUPPORTED` where there are no topics; `INVALID` when another definition has the name
   */
  topic<T>(definition: TopicDefinition<T> | string): Topic<T>
  /** Plans, applies and verifies queues and topics all at once; not on the way of any message. */
  readonly topology: BrokerTopology
  /** Connects unless connected. @throws MsgloopError `UNREACHABLE`, `DENIED`, `NOT_FOUND` or `TIMEOUT` */
  connect(options?: { readonly timeout?: Duration }): Promise<void>
  /** Asks the broker now. Never rejects; answers within `timeout`, default 5 s. */
  health(options?: { readonly timeout?: Duration }): Promise<Health>
  /** The client library's own connection or client. */
  native(): unknown
  /** Closes consumers, then senders, then connections. Afterwards every call fails with `CLOSED`. */
  close(options?: { readonly timeout?: Duration }): Promise<void>
  /**
   * Closes when one of these signals arrives, then lets it end the process as it would have.
   * @example broker.closeOn('SIGTERM', 'SIGINT')
   */
  closeOn(...signals: NodeJS.Signals[]): void
}
