import type { Driver } from '@msgloop/core/driver'
import { NatsDriver } from './driver.js'
import { type NatsOptions, resolveTarget } from './url.js'

/**
 * A driver for NATS JetStream, servers 2.9 and newer. Opens nothing until it is used.
 *
 * @throws DriverError `INVALID` for a URL or option it does not understand
 * @example const broker = createBroker(nats({ url: 'nats://localhost:4222' }))
 */
export function nats(options: NatsOptions): Driver {
  return new NatsDriver(resolveTarget(options))
}

export type { NatsOptions }
