import type { DriverError } from '@msgloop/core/driver'
import type { Holder, Lease } from './lease.js'

/** A `receive` that found nothing, waiting. */
export interface Waiter {
  readonly holder: Holder
  readonly leaseMs: number
  /** How many it can take now: 0 while its receiver holds as much as it may. */
  room(): number
  give(leases: Lease[]): void
  fail(error: DriverError): void
}

/** Those who wait for messages of one queue. Who waits longest is served first. */
export class Waiters {
  readonly #lease: (max: number, holder: Holder, leaseMs: number) => Lease[]
  readonly #waiting = new Set<Waiter>()
  #waking = false

  constructor(lease: (max: number, holder: Holder, leaseMs: number) => Lease[]) {
    this.#lease = lease
  }

  add(waiter: Waiter): void {
    this.#waiting.add(waiter)
  }

  remove(waiter: Waiter): void {
    this.#waiting.delete(waiter)
  }

  /** Messages are there, or a receiver has room again. Waits for the end of the tick, to hand out whole batches. */
  wake(): void {
    if (this.#waking || this.#waiting.size === 0) return
    this.#waking = true
    queueMicrotask(() => {
      this.#waking = false
      this.serve()
    })
  }

  serve(): void {
    for (const waiter of this.#waiting) {
      const room = waiter.room()
      if (room <= 0) continue
      const leases = this.#lease(room, waiter.holder, waiter.leaseMs)
      // What there is may be kept for another: of a key that somebody holds, only they are given more.
      if (leases.length === 0) continue
      this.#waiting.delete(waiter)
      waiter.give(leases)
    }
  }

  fail(error: DriverError): void {
    for (const waiter of this.#waiting) {
      this.#waiting.delete(waiter)
      waiter.fail(error)
    }
  }
}
