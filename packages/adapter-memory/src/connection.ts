import type { Driver } from '@msgloop/core/driver'
import { DriverError } from '@msgloop/core/driver'
import type { MemoryBroker } from './memory-broker.js'
import { Turns } from './turns.js'

/** What a lost connection takes with it. */
export interface Link {
  cut(error: DriverError): void
}

/**
 * A driver's connection to its broker. There is no wire, yet what hangs on a wire hangs on it: it can
 * be cut, be down, and be closed, while the broker and its messages stay.
 */
export class Connection {
  readonly broker: MemoryBroker
  readonly turns = new Turns()
  readonly links = new Set<Link>()
  down = false
  #closed = false

  constructor(broker: MemoryBroker) {
    this.broker = broker
  }

  get closed(): boolean {
    return this.#closed
  }

  /** @throws DriverError unless the broker can be reached. */
  check(signal?: AbortSignal): void {
    if (this.#closed) throw new DriverError('CLOSED', 'the driver is closed', { outcome: 'rejected' })
    if (signal?.aborted)
      throw new DriverError('ABORTED', 'aborted before it began', {
        outcome: 'rejected',
        cause: signal.reason,
      })
    if (this.down)
      throw new DriverError('UNREACHABLE', 'the broker is down', { retryable: true, outcome: 'rejected' })
  }

  /** Takes every sender and receiver away, as the network would. New ones can be opened. */
  cut(): void {
    this.#cut(
      new DriverError('CONNECTION_LOST', 'the connection was cut', { retryable: true, outcome: 'rejected' }),
    )
  }

  close(): void {
    this.#closed = true
    this.#cut(new DriverError('CLOSED', 'the driver is closed', { outcome: 'rejected' }))
  }

  #cut(error: DriverError): void {
    for (const link of [...this.links]) link.cut(error)
  }
}

const connections = new WeakMap<Driver, Connection>()

export function registerConnection(driver: Driver, connection: Connection): void {
  connections.set(driver, connection)
}

/** The connection of a driver made by `memory()`; `undefined` for any other. */
export function connectionOf(driver: Driver): Connection | undefined {
  return connections.get(driver)
}
