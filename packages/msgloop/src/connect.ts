import type { Broker, BrokerOptions, Duration } from '@msgloop/core'
import { createBroker } from '@msgloop/core'
import { openDriver } from './open-driver.js'

/** Options of `connect`: those of the broker, and how long it may take to answer. */
export interface ConnectOptions extends BrokerOptions {
  /** Longest until the broker has answered. Default 10 s. */
  readonly timeout?: Duration
}

/**
 * A broker by its URL, proven to answer. The adapter is chosen by the scheme and loaded then:
 * `memory:` (the default, in this process) or `amqp:`, `amqps:` (RabbitMQ).
 *
 * @throws MsgloopError `INVALID` for a bad URL or option, `ADAPTER_MISSING`, `UNREACHABLE`, `DENIED`,
 * `NOT_FOUND` or `TIMEOUT`; none of their messages holds a password
 * @example
 * const broker = await connect(process.env.QUEUE_URL)
 * broker.closeOn('SIGTERM', 'SIGINT')
 */
export async function connect(url = 'memory:', options: ConnectOptions = {}): Promise<Broker> {
  const { timeout = '10s', ...brokerOptions } = options
  const driver = await openDriver(url)
  let broker: Broker
  try {
    broker = createBroker(driver, brokerOptions)
  } catch (error) {
    await driver.close()
    throw error
  }
  try {
    await broker.connect({ timeout })
    return broker
  } catch (error) {
    // Not awaited: the caller gets its error in time, even where a dead network makes closing slow.
    void broker.close()
    throw error
  }
}
