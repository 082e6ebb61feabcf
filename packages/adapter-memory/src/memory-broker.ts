import type { Clock, Destination, Source, Topology, WireMessage } from '@msgloop/core/driver'
import { DriverError } from '@msgloop/core/driver'
import type { Profile } from './capabilities.js'
import { missing, QueueState, type Site } from './queue-state.js'
import { TopicState } from './topic-state.js'

/** The broker itself: queues and topics by name. It knows nothing of drivers and connections. */
export class MemoryBroker implements Site {
  /** `memory:`, or `memory://<name>`. */
  readonly address: string
  readonly clock: Clock
  /** The one it was made with. */
  readonly given: Clock
  readonly profile: Profile
  readonly #queues = new Map<string, QueueState>()
  readonly #topics = new Map<string, TopicState>()
  /** Who waits for answers, by address. */
  readonly #channels = new Map<string, (message: WireMessage) => void>()
  #channelsOpened = 0

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

  topic(name: string): TopicState | undefined {
    return this.#topics.get(name)
  }

  /** Where messages go. @throws DriverError `NOT_FOUND` */
  target({ kind, name }: Destination): QueueState | TopicState {
    return kind === 'topic' ? this.#existingTopic(name) : this.existing(name)
  }

  create(spec: Source): void {
    const topic = spec.kind === 'subscription' ? this.#existingTopic(spec.topic) : undefined
    const queue = new QueueState(Object.freeze({ ...spec }), this)
    this.#queues.set(spec.name, queue)
    if (spec.kind === 'subscription') topic?.bind(spec, queue)
  }

  createTopic(name: string): void {
    if (!this.#topics.has(name)) this.#topics.set(name, new TopicState())
  }

  /** As when it was created, should its topic have been made again since. */
  bind(queue: QueueState): void {
    if (queue.spec.kind === 'subscription') this.#existingTopic(queue.spec.topic).bind(queue.spec, queue)
  }

  delete({ kind, name }: Topology): void {
    if (kind === 'topic') {
      this.#topics.delete(name)
      return
    }
    const queue = this.#queues.get(name)
    if (queue?.spec.kind === 'subscription') this.#topics.get(queue.spec.topic)?.unbind(name)
    queue?.delete()
    this.#queues.delete(name)
  }

  openChannel(onReply: (message: WireMessage) => void): string {
    const address = `reply-${++this.#channelsOpened}`
    this.#channels.set(address, onReply)
    return address
  }

  /** Whether it was open. */
  closeChannel(address: string): boolean {
    return this.#channels.delete(address)
  }

  /** Nobody waits at an address that is gone. */
  answer(address: string, message: WireMessage): void {
    this.#channels.get(address)?.(message)
  }

  #existingTopic(name: string): TopicState {
    const topic = this.#topics.get(name)
    if (topic) return topic
    throw new DriverError('NOT_FOUND', `no topic "${name}"`, { outcome: 'rejected' })
  }

  /** Whether forgetting this broker would lose nothing but settings: a subscription is to receive what comes. */
  get empty(): boolean {
    for (const queue of this.#queues.values())
      if (!queue.empty || queue.spec.kind === 'subscription') return false
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
