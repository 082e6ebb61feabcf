import type { Driver } from '@msgloop/core/driver'

/** A way to break a driver, and the case that must notice. */
export interface Mutant {
  readonly id: string
  /** What it does wrong. */
  readonly fault: string
  /** Where the fault was seen in the wild: `H…` are hazards of the field survey, `P…` pitfalls of brokers. */
  readonly seenIn: string
  /** Ids of cases, each of which must fail on it. */
  readonly caughtBy: readonly string[]
  /** The capabilities it needs to show itself. Default: those of the memory driver. */
  readonly needs?: 'connection-lease'
  /** One fault for all drivers of a run: what the returned function remembers, they share. */
  readonly make: () => (driver: Driver) => Driver
}
