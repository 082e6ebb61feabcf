import type { Consumer, ConsumerState, Duration } from '@msgloop/core'
import type { Route, SideName } from './phase.js'

/** Opens a consumer of so many handlers on one side. */
export type OpenConsumer = (side: SideName, concurrency: number) => Consumer

/** One consumer in the eyes of the application: on each side that is to be read, one that shares its concurrency. */
export class MigratingConsumer implements Consumer {
  readonly queue: string
  readonly ready: Promise<void>
  readonly #open: OpenConsumer
  readonly #forget: () => void
  readonly #consumers = new Map<SideName, Consumer>()
  /** Closing, as the phase left their side; their handlers may still run. */
  readonly #leaving = new Set<Promise<void>>()
  #concurrency: number
  #state: ConsumerState = 'running'
  #route: Route

  constructor(queue: string, concurrency: number, route: Route, open: OpenConsumer, forget: () => void) {
    this.queue = queue
    this.#concurrency = concurrency
    this.#route = route
    this.#open = open
    this.#forget = forget
    for (const side of route.read) this.#consumers.set(side, open(side, this.#share()))
    this.ready = Promise.all([...this.#consumers.values()].map((each) => each.ready)).then(() => {})
    this.ready.catch(() => {})
  }

  get name(): string {
    return this.#one().name
  }

  get state(): ConsumerState {
    return this.#state
  }

  get running(): number {
    return [...this.#consumers.values()].reduce((sum, { running }) => sum + running, 0)
  }

  get concurrency(): number {
    return this.#concurrency
  }

  set concurrency(value: number) {
    this.#concurrency = value
    for (const consumer of this.#consumers.values()) consumer.concurrency = this.#share()
  }

  /** Leaves sides that are not read any more, and then begins with those that are new. */
  async follow(route: Route): Promise<void> {
    if (this.#ended) return
    this.#route = route
    for (const [side, consumer] of this.#consumers)
      if (!route.read.includes(side)) {
        this.#consumers.delete(side)
        const leaving = consumer.close().finally(() => this.#leaving.delete(leaving))
        this.#leaving.add(leaving)
      }
    await Promise.all(this.#leaving)
    if (this.#route !== route || this.#ended) return
    for (const side of route.read) {
      const consumer = this.#consumers.get(side) ?? this.#open(side, this.#share())
      this.#consumers.set(side, consumer)
      consumer.concurrency = this.#share()
      if (this.#state === 'paused') await consumer.pause()
    }
  }

  async pause(): Promise<void> {
    if (this.#state === 'running') this.#state = 'paused'
    await Promise.all([...this.#consumers.values()].map((consumer) => consumer.pause()))
  }

  resume(): void {
    if (this.#state === 'paused') this.#state = 'running'
    for (const consumer of this.#consumers.values()) consumer.resume()
  }

  async close(options?: { readonly timeout?: Duration }): Promise<void> {
    if (this.#state !== 'closed') this.#state = 'closing'
    await Promise.all([...this.#consumers.values()].map((consumer) => consumer.close(options)))
    await Promise.all(this.#leaving)
    this.#state = 'closed'
    this.#forget()
  }

  get #ended(): boolean {
    return this.#state === 'closing' || this.#state === 'closed'
  }

  /** Of one slot, each of two sides gets one: whoever opens the consumers runs their handlers in turn. */
  #share(): number {
    return Math.max(1, Math.floor(this.#concurrency / this.#route.read.length))
  }

  #one(): Consumer {
    const [consumer] = this.#consumers.values()
    if (!consumer) throw new Error('a consumer reads at least one side')
    return consumer
  }
}
