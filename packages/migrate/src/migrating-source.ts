import {
  type BatchConsumeOptions,
  type BatchHandler,
  type ConsumeOptions,
  type Consumer,
  type DeadLetters,
  type Delivery,
  type Drift,
  type Handler,
  type MessageSource,
  milliseconds,
  type QueueStats,
  type ReceiveOptions,
} from '@msgloop/core'
import { MigratingConsumer } from './migrating-consumer.js'
import { oneAtATime } from './one-at-a-time.js'
import { type Route, routeOf, type SideName } from './phase.js'
import type { PhaseClock } from './phase-clock.js'

/** As the core's own default. */
const CONCURRENCY = 16
/** How long one side is waited for before the other is looked at. */
const TURN_MS = 500

/** A queue or subscription that is on two brokers while it moves. */
export class MigratingSource<T, S extends MessageSource<T>> implements MessageSource<T> {
  readonly name: string
  protected readonly sides: Readonly<Record<SideName, S>>
  readonly #clock: PhaseClock
  readonly #ordered: boolean
  readonly #consumers = new Set<MigratingConsumer>()

  constructor(clock: PhaseClock, sides: Readonly<Record<SideName, S>>, ordered: boolean) {
    this.name = sides.from.name
    this.sides = sides
    this.#clock = clock
    this.#ordered = ordered
  }

  get route(): Route {
    return routeOf(this.#clock.phase, this.#ordered)
  }

  /** Of the side that messages are sent to: the bridge moves the others there. */
  get deadLetters(): DeadLetters<T> {
    return this.sides[this.route.send].deadLetters
  }

  consume<Tx = undefined>(handler: Handler<T, Tx>, options: ConsumeOptions<Tx> = {}): Consumer {
    const concurrency = options.concurrency ?? CONCURRENCY
    const inTurn = oneAtATime()
    const run: Handler<T, Tx> =
      concurrency === 1 ? (body, message, tx) => inTurn(() => handler(body, message, tx)) : handler
    return this.#onBothSides(concurrency, (side, share) =>
      side.consume(run, { ...options, concurrency: share }),
    )
  }

  consumeBatch(handler: BatchHandler<T>, options: BatchConsumeOptions): Consumer {
    const concurrency = options.concurrency ?? 1
    const inTurn = oneAtATime()
    const run: BatchHandler<T> =
      concurrency === 1 ? (messages, batch) => inTurn(() => handler(messages, batch)) : handler
    return this.#onBothSides(concurrency, (side, share) =>
      side.consumeBatch(run, { ...options, concurrency: share }),
    )
  }

  #onBothSides(concurrency: number, open: (side: S, share: number) => Consumer): Consumer {
    const consumer: MigratingConsumer = new MigratingConsumer(
      this.name,
      concurrency,
      this.route,
      (side, share) => open(this.sides[side], share),
      () => this.#consumers.delete(consumer),
    )
    this.#consumers.add(consumer)
    return consumer
  }

  async receive({ wait = 0, ...options }: ReceiveOptions = {}): Promise<Delivery<T>[]> {
    const deadline = performance.now() + milliseconds('receive: option "wait"', wait)
    for (;;) {
      for (const side of this.route.read) {
        const left = Math.max(0, Math.min(TURN_MS, deadline - performance.now()))
        const deliveries = await this.sides[side].receive({ ...options, wait: Math.floor(left) })
        if (deliveries.length > 0) return deliveries
      }
      if (performance.now() >= deadline || options.signal?.aborted) return []
    }
  }

  /** Of both sides together, where both can tell. */
  async stats(): Promise<QueueStats> {
    const [first, second] = await Promise.all(this.read.map((source) => source.stats()))
    if (!first || !second) return first ?? second ?? NOTHING_KNOWN
    const sum = (field: keyof QueueStats): number | undefined => {
      const [one, two] = [first[field], second[field]]
      return one === undefined || two === undefined ? undefined : one + two
    }
    const oldest = [first.oldestAgeMs, second.oldestAgeMs].filter((age) => age !== undefined)
    return {
      ready: sum('ready'),
      inFlight: sum('inFlight'),
      delayed: sum('delayed'),
      dead: sum('dead'),
      consumers: sum('consumers'),
      requests: sum('requests'),
      oldestAgeMs: oldest.length === 0 ? undefined : Math.max(...oldest),
    }
  }

  async verify(): Promise<readonly Drift[]> {
    return (await Promise.all(this.read.map((source) => source.verify()))).flat()
  }

  async purge(): Promise<number | undefined> {
    const counts = await Promise.all(this.read.map((source) => source.purge()))
    return counts.includes(undefined)
      ? undefined
      : counts.reduce((sum: number, count) => sum + (count ?? 0), 0)
  }

  async delete(): Promise<void> {
    await Promise.all(this.read.map((source) => source.delete()))
  }

  /** Lets consumers read what the phase says. Resolves when what they left is settled. */
  async follow(): Promise<void> {
    const { route } = this
    await Promise.all([...this.#consumers].map((consumer) => consumer.follow(route)))
  }

  protected get read(): readonly S[] {
    return this.route.read.map((side) => this.sides[side])
  }
}

const NOTHING_KNOWN: QueueStats = {
  ready: undefined,
  inFlight: undefined,
  delayed: undefined,
  dead: undefined,
  oldestAgeMs: undefined,
  consumers: undefined,
}
