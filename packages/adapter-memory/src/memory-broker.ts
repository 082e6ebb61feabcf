import type { Clock, QueueSpec } from '@msgloop/core/driver'
import type { Profile } from './capabilities.js'
import { missing, QueueState, type Site } from './queue-state.js'

/** The broker itself: queues by name. It knows nothing of drivers and connections. */
export class MemoryBroker implements Site {
  /** `memory:`, or `memory://<name>`. */
  readonly address: string
  readonly clock: Clock
  /** The one it was made with. */
  readonly given: Clock
  readonly profile: Profile
  readonly #queues = new Map<string, QueueState>()

  constructor(address: string, profile: Profile, clock: Clock) {
    this.address = address
    this.profile = profile
    this.given = clock
    this.clock = steady(clock)
  }

  queue(name: string): QueueState | undefined {
    return this.#queues.get(name)
  }

  /** @throws DriverError `NOT_FOUND` */
  existing(name: string): QueueState {
    const queue = this.#queues.get(name)
    if (queue) return queue
    throw missing(name)
  }

  create(spec: QueueSpec): void {
    this.#queues.set(spec.name, new QueueState(Object.freeze({ ...spec }), this))
  }

  delete(name: string): void {
    this.#queues.get(name)?.delete()
    this.#queues.delete(name)
  }

  /** Whether forgetting this broker would lose nothing but settings. */
  get empty(): boolean {
    for (const queue of this.#queues.values()) if (!queue.empty) return false
    return true
  }

  /** Nobody is connected: stops all timers. Delays go on by the clock; the first touch sets timers again. */
  rest(): void {
    for (const queue of this.#queues.values()) queue.rest()
  }
}

/** Epoch ms that go on evenly: setting the wall clock neither ends nor stretches a lease or a delay. */
function steady(clock: Clock): Clock {
  const origin = clock.now() - clock.elapsed()
  return {
    now: () => Math.floor(origin + clock.elapsed()),
    elapsed: () => clock.elapsed(),
    after: (ms, fn) => clock.after(ms, fn),
  }
}
