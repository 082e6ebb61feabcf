import type { Driver } from '@msgloop/core/driver'
import { RedisStreamsDriver } from './driver.js'
import { type RedisStreamsOptions, resolveTarget } from './url.js'

/**
 * A driver for Redis 6.2 to 8.x and Valkey, alone or as a cluster. Opens nothing until it is used.
 *
 * @throws DriverError `INVALID` for a URL or option it does not understand
 * @example const broker = createBroker(redisStreams({ url: 'redis://localhost:6379' }))
 */
export function redisStreams(options: RedisStreamsOptions): Driver {
  return new RedisStreamsDriver(resolveTarget(options))
}

export type { RedisStreamsOptions }
