import type { Driver } from '@msgloop/core/driver'
import { RabbitmqDriver } from './driver.js'
import { type RabbitmqOptions, resolveTarget } from './url.js'

/**
 * A driver for RabbitMQ 3.10 to 4.x. Opens nothing until it is used.
 *
 * @throws DriverError `INVALID` for a URL or option it does not understand
 * @example const broker = createBroker(rabbitmq({ url: 'amqp://guest:guest@localhost:5672' }))
 */
export function rabbitmq(options: RabbitmqOptions): Driver {
  return new RabbitmqDriver(resolveTarget(options))
}

export type { RabbitmqOptions }
