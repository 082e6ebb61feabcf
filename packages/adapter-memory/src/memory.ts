import type { Clock, Driver } from '@msgloop/core/driver'
import { DriverError, systemClock } from '@msgloop/core/driver'
import { Connection, registerConnection } from './connection.js'
import { MemoryDriver } from './driver.js'
import { EMULATED, type Emulated, isEmulated, profileOf } from './emulate.js'
import { MemoryBroker } from './memory-broker.js'
import { joinBroker, leaveBroker } from './named-brokers.js'

export interface MemoryOptions {
  /** What leases, delays and windows are measured with. Default `systemClock`. */
  readonly clock?: Clock | undefined
  /**
   * Drivers of one name share one broker, within the process. It keeps its messages while nobody is
   * connected. 1 to 70 letters, digits, `.`, `_` or `-`. Default: a broker of its own, gone with `close`.
   */
  readonly name?: string | undefined
  /** Take over the limits and abilities of this broker. Default: the memory broker's own. */
  readonly emulate?: Emulated | undefined
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,69}$/

/**
 * A driver of the embedded broker. No I/O, no set-up; messages live in the memory of this process.
 *
 * @throws DriverError `INVALID` for a bad option, or one that differs from what the named broker was made with
 * @example
 * const broker = createBroker(memory())
 * const shared = createBroker(memory({ name: 'dev', emulate: 'sqs' }))
 */
export function memory(options: MemoryOptions = {}): Driver {
  const { name, emulate } = options
  const clock = options.clock ?? systemClock
  if (emulate !== undefined && !isEmulated(emulate))
    throw new DriverError(
      'INVALID',
      `option "emulate" is ${JSON.stringify(emulate)}; there are ${EMULATED.join(', ')}`,
    )
  if (name !== undefined && !NAME.test(name))
    throw new DriverError(
      'INVALID',
      `option "name" is ${JSON.stringify(name)}; give 1 to 70 letters, digits, ".", "_" or "-", beginning with a letter or digit`,
    )
  const profile = profileOf(emulate)
  const broker =
    name === undefined ? new MemoryBroker('memory:', profile, clock) : joinBroker(name, profile, clock)
  const connection = new Connection(broker)
  const driver = new MemoryDriver(connection, () => (name === undefined ? broker.rest() : leaveBroker(name)))
  registerConnection(driver, connection)
  return driver
}
