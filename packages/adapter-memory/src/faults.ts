import type { Driver } from '@msgloop/core/driver'
import { DriverError } from '@msgloop/core/driver'
import { connectionOf } from './connection.js'

/** Faults of one driver's connection. Other drivers of the same broker do not notice. */
export interface MemoryFaults {
  /**
   * Cuts the connection, as a network would: receivers are lost (`onLost`), what they held is ready
   * again at once, sends fail. New senders and receivers can be opened straight away.
   */
  disconnect(): void
  /** `disconnect`, and from now on the broker is `UNREACHABLE`. */
  down(): void
  up(): void
}

/**
 * For tests: makes the connection of a memory driver fail.
 *
 * @throws DriverError `INVALID` for a driver that `memory()` did not make
 * @example
 * const driver = memory()
 * memoryFaults(driver).disconnect()
 */
export function memoryFaults(driver: Driver): MemoryFaults {
  const connection = connectionOf(driver)
  if (!connection)
    throw new DriverError(
      'INVALID',
      `memoryFaults takes a driver made by memory(), not one of ${driver.name}`,
    )
  return {
    disconnect: () => connection.cut(),
    down() {
      connection.down = true
      connection.cut()
    },
    up() {
      connection.down = false
    },
  }
}
