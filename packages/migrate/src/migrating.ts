import {
  type Broker,
  type BrokerTopology,
  type Capabilities,
  type Duration,
  type Health,
  MsgloopError,
  type Queue,
  type QueueDefinition,
  type Topic,
  type TopicDefinition,
} from '@msgloop/core'
import { MigratingQueue } from './migrating-queue.js'
import { MigratingTopic } from './migrating-topic.js'
import { type Phase, routeOf } from './phase.js'
import { PhaseClock } from './phase-clock.js'

export interface MigratingOptions {
  readonly from: Broker
  readonly to: Broker
  /** Default `source`. With `follow`, until the state folder names another. */
  readonly phase?: Phase
  /** State folder of the migration: its phase is followed within a fifth of a second. */
  readonly follow?: string
}

/** A broker made of two, which an application uses while it moves from one to the other. */
export interface MigratingBroker extends Broker {
  readonly phase: Phase
  /** Goes to another phase; resolves when every consumer reads what it says, and what they left is settled. */
  enter(phase: Phase): Promise<void>
}

/**
 * Makes a broker of two, with the same interface: who sends where and who reads what follows the phase, without
 * a change of code. Give exactly-once queues one inbox: both sides share it, so nothing is done twice.
 *
 * @throws MsgloopError `INVALID` for an unknown phase, or one broker given twice
 * @example
 * const broker = migrating({ from: await connect(OLD), to: await connect(NEW), follow: './migration' })
 * broker.queue(orders).consume(bill, { inbox })
 */
export function migrating(options: MigratingOptions): MigratingBroker {
  const { from, to, phase = 'source', follow } = options
  if (from === to) throw new MsgloopError('INVALID', 'migrating: "from" and "to" are one broker; give two')
  const broker = new TwoBrokers(from, to, new PhaseClock(phase))
  if (follow !== undefined) broker.follow(follow)
  return broker
}

interface Follower {
  follow(): Promise<void>
}

class TwoBrokers implements MigratingBroker {
  readonly #from: Broker
  readonly #to: Broker
  readonly #clock: PhaseClock
  /** By the source's own queue or topic, which is the same object each time. */
  readonly #made = new Map<object, Follower>()
  #following: Promise<unknown> = Promise.resolve()

  constructor(from: Broker, to: Broker, clock: PhaseClock) {
    this.#from = from
    this.#to = to
    this.#clock = clock
    clock.onChange(() => {
      this.#following = this.#following.then(() =>
        Promise.all([...this.#made.values()].map((each) => each.follow())),
      )
      this.#following.catch((error) =>
        process.emitWarning(`the phase "${clock.phase}" cannot be followed: ${String(error)}`, {
          code: 'MSGLOOP_MIGRATE',
        }),
      )
    })
  }

  get phase(): Phase {
    return this.#clock.phase
  }

  /** Of the side that is sent to. */
  get name(): string {
    return this.#sending.name
  }

  /** Of the side that is sent to. */
  get capabilities(): Capabilities {
    return this.#sending.capabilities
  }

  /** Of the side that is sent to. */
  get topology(): BrokerTopology {
    return this.#sending.topology
  }

  follow(folder: string): void {
    this.#clock.follow(folder)
  }

  async enter(phase: Phase): Promise<void> {
    this.#clock.set(phase)
    await this.#following
  }

  queue<T>(given: QueueDefinition<T> | string): Queue<T> {
    const sides = { from: this.#from.queue(given), to: this.#to.queue(given) }
    const ordered = typeof given !== 'string' && given.order === 'key'
    return this.#remember(sides.from, () => new MigratingQueue(this.#clock, sides, ordered))
  }

  topic<T>(given: TopicDefinition<T> | string): Topic<T> {
    const sides = { from: this.#from.topic(given), to: this.#to.topic(given) }
    return this.#remember(sides.from, () => new MigratingTopic(this.#clock, sides))
  }

  async connect(options?: { readonly timeout?: Duration }): Promise<void> {
    await Promise.all([this.#from.connect(options), this.#to.connect(options)])
  }

  /** Down when a side that is in use is down. */
  async health(options?: { readonly timeout?: Duration }): Promise<Health> {
    const sides = { from: this.#from, to: this.#to }
    const all = await Promise.all(routeOf(this.phase, false).read.map((side) => sides[side].health(options)))
    const [first] = all
    if (!first) throw new Error('at least one side is in use')
    return all.find(({ status }) => status === 'down') ?? first
  }

  native(): unknown {
    return { from: this.#from.native(), to: this.#to.native() }
  }

  async close(options?: { readonly timeout?: Duration }): Promise<void> {
    this.#clock.stop()
    await Promise.all([this.#from.close(options), this.#to.close(options)])
  }

  closeOn(...signals: NodeJS.Signals[]): void {
    this.#from.closeOn(...signals)
    this.#to.closeOn(...signals)
  }

  get #sending(): Broker {
    return routeOf(this.phase, false).send === 'from' ? this.#from : this.#to
  }

  #remember<F extends Follower>(key: object, make: () => F): F {
    const known = this.#made.get(key)
    if (known) return known as F
    const made = make()
    this.#made.set(key, made)
    return made
  }
}
