import type { Clock } from '@msgloop/core/driver'
import { DriverError } from '@msgloop/core/driver'
import type { Profile } from './capabilities.js'
import { MemoryBroker } from './memory-broker.js'

interface Named {
  readonly broker: MemoryBroker
  drivers: number
}

/**
 * Brokers with a name, which drivers of one process share. Like a broker elsewhere, one does not lose
 * its messages because everybody has disconnected; it is forgotten when the last driver closes and
 * nothing is left in it.
 */
const brokers = new Map<string, Named>()

/** Joins the broker of that name, or makes it. @throws DriverError `INVALID` when it was made otherwise */
export function joinBroker(name: string, profile: Profile, clock: Clock): MemoryBroker {
  let named = brokers.get(name)
  if (!named) {
    named = { broker: new MemoryBroker(`memory://${name}`, profile, clock), drivers: 0 }
    brokers.set(name, named)
  }
  const { broker } = named
  const differs = broker.profile !== profile ? 'emulate' : broker.given !== clock ? 'clock' : undefined
  if (differs)
    throw new DriverError(
      'INVALID',
      `memory broker "${name}" exists with another "${differs}"; give the same, or another name`,
    )
  named.drivers++
  return broker
}

/** The other half of `joinBroker`, once per driver. */
export function leaveBroker(name: string): void {
  const named = brokers.get(name)
  if (!named) return
  named.drivers--
  if (named.drivers > 0) return
  named.broker.rest()
  if (named.broker.empty) brokers.delete(name)
}
