import type {
  Drift,
  PublishItem,
  PublishOptions,
  SendResult,
  Subscription,
  SubscriptionOptions,
  Topic,
} from '@msgloop/core'
import { MigratingSource } from './migrating-source.js'
import type { SideName } from './phase.js'
import { routeOf } from './phase.js'
import type { PhaseClock } from './phase-clock.js'

/** A topic that is on two brokers while it moves. Nothing is bridged: consumers read each side empty. */
export class MigratingTopic<T> implements Topic<T> {
  readonly name: string
  readonly #clock: PhaseClock
  readonly #sides: Readonly<Record<SideName, Topic<T>>>
  readonly #subscriptions = new Map<Subscription<T>, MigratingSubscription<T>>()

  constructor(clock: PhaseClock, sides: Readonly<Record<SideName, Topic<T>>>) {
    this.name = sides.from.name
    this.#clock = clock
    this.#sides = sides
  }

  publish(subject: string, body: T, options?: PublishOptions): Promise<string> {
    return this.#side().publish(subject, body, options)
  }

  publishBatch(
    items: readonly PublishItem<T>[],
    options?: { readonly signal?: AbortSignal },
  ): Promise<SendResult[]> {
    return this.#side().publishBatch(items, options)
  }

  subscription(name: string, options?: SubscriptionOptions): Subscription<T> {
    const from = this.#sides.from.subscription(name, options)
    const known = this.#subscriptions.get(from)
    if (known) return known
    const made = new MigratingSubscription(this.#clock, {
      from,
      to: this.#sides.to.subscription(name, options),
    })
    this.#subscriptions.set(from, made)
    return made
  }

  verify(): Promise<readonly Drift[]> {
    return this.#side().verify()
  }

  async delete(): Promise<void> {
    for (const side of routeOf(this.#clock.phase, false).read) await this.#sides[side].delete()
  }

  /** Subscriptions are there on both sides before anything is published to the new one. */
  async follow(): Promise<void> {
    await Promise.all([...this.#subscriptions.values()].map((each) => each.follow()))
  }

  #side(): Topic<T> {
    return this.#sides[routeOf(this.#clock.phase, false).send]
  }
}

class MigratingSubscription<T> extends MigratingSource<T, Subscription<T>> implements Subscription<T> {
  readonly topic: string
  readonly patterns: readonly string[]

  constructor(clock: PhaseClock, sides: Readonly<Record<SideName, Subscription<T>>>) {
    super(clock, sides, false)
    this.topic = sides.from.topic
    this.patterns = sides.from.patterns
  }

  async create(): Promise<void> {
    await Promise.all(this.read.map((subscription) => subscription.create()))
  }

  override async follow(): Promise<void> {
    await this.create()
    await super.follow()
  }
}
