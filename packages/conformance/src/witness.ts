import type { Driver, Topology } from '@msgloop/core/driver'
import { decorate } from './decorate.js'

/** What a broker asked of its driver. */
export interface Witness {
  /** Names of the calls that reach for the broker, in order. */
  readonly calls: string[]
  /** Everything declared. */
  readonly declared: Topology[]
  /** Sizes of the batches sent, in order. */
  readonly batches: number[]
  readonly watch: (driver: Driver) => Driver
}

/** Notes every call that does I/O, so that a case can prove that there was none. */
export function witness(): Witness {
  const calls: string[] = []
  const declared: Topology[] = []
  const batches: number[] = []
  return {
    calls,
    declared,
    batches,
    watch: (driver) =>
      decorate(driver, {
        before: (call) => void calls.push(call),
        admin: (inner) => ({
          declare(topology, signal) {
            calls.push('declare')
            declared.push(topology)
            return inner.declare(topology, signal)
          },
          verify(topology, signal) {
            calls.push('verify')
            return inner.verify(topology, signal)
          },
        }),
        sender: (inner) => ({
          send(batch, signal) {
            calls.push('send')
            batches.push(batch.length)
            return inner.send(batch, signal)
          },
        }),
      }),
  }
}
