import assert from 'node:assert/strict'
import type {
  Broker,
  BrokerOptions,
  Capabilities,
  ConsumeOptions,
  DeadLetter,
  FlowEvent,
  MessageSource,
  Queue,
  QueueDefinition,
  QueueOptions,
  Subscription,
  SubscriptionOptions,
  Topic,
  TopicDefinition,
  TopicOptions,
} from '@msgloop/core'
import { createBroker, defineQueue, defineTopic, flow } from '@msgloop/core'
import type { Driver, QueueSpec, Topology, WireMessage } from '@msgloop/core/driver'
import type { Harness } from './harness.js'
import { seededRandom } from './random.js'
import type { Recorded, Runs } from './runs.js'
import { recordRuns } from './runs.js'
import { settled, until } from './wait.js'
import { witness } from './witness.js'

export interface OpenOptions extends BrokerOptions {
  /** Puts something between the core and the driver. */
  readonly wrap?: (driver: Driver) => Driver
}

export type RawMessage = Partial<WireMessage> & Pick<WireMessage, 'id' | 'body'>

/** What a case works with. Whatever it opens is closed, and whatever it names is deleted, when it is over. */
export class CaseContext {
  readonly harness: Harness
  readonly capabilities: Capabilities
  /** Aborts when the time of the case is up. */
  readonly signal: AbortSignal
  /** In [0, 1), the same in every run of this case. */
  readonly random: () => number
  /** Unhandled rejections and uncaught exceptions since the whole run began. */
  readonly faults: readonly unknown[]
  readonly #names = new Set<string>()
  /** Those of them with order by key. */
  readonly #ordered = new Set<string>()
  readonly #topics = new Set<string>()
  readonly #subscriptions = new Map<string, string>()
  readonly #others = new Set<string>()
  readonly #drivers = new Set<Driver>()
  readonly #brokers = new Map<Broker, Driver>()
  readonly #brokerOf = new WeakMap<object, Broker>()
  readonly #ends: (() => Promise<void> | void)[] = []

  constructor(
    id: string,
    harness: Harness,
    capabilities: Capabilities,
    signal: AbortSignal,
    faults: readonly unknown[],
  ) {
    this.harness = harness
    this.capabilities = capabilities
    this.signal = signal
    this.random = seededRandom(id)
    this.faults = faults
  }

  /** A driver of its own, to speak to the broker without the core. */
  async driver(): Promise<Driver> {
    const driver = await this.harness.openDriver()
    this.#drivers.add(driver)
    return driver
  }

  async broker({ wrap, ...options }: OpenOptions = {}): Promise<Broker> {
    const driver = await this.harness.openDriver()
    const broker = createBroker(wrap ? wrap(driver) : driver, options)
    this.#brokers.set(broker, driver)
    return broker
  }

  /** A queue name that is deleted in the end, together with `<name>.dlq`. */
  name(prefix = 'q'): string {
    return this.named(this.harness.unique(prefix))
  }

  /** The same for a name of the case's own making. */
  named(name: string): string {
    this.#names.add(name)
    return name
  }

  define<T = unknown>(options: QueueOptions<T> = {}): QueueDefinition<T> {
    const name = this.name()
    if (options.lanes) for (const lane of ['high', 'low']) this.#names.add(`${name}.${lane}`)
    if (options.order === 'key') this.#ordered.add(name)
    return defineQueue<T>(name, options)
  }

  /** The queue of a definition, or of a name, through a broker of its own. */
  async open<T>(definition: QueueDefinition<T> | string, options?: OpenOptions): Promise<Queue<T>> {
    const broker = await this.broker(options)
    const queue = broker.queue<T>(definition)
    this.#brokerOf.set(queue, broker)
    return queue
  }

  /** A new queue through a broker of its own. */
  queue<T = unknown>(options: QueueOptions<T> = {}, open?: OpenOptions): Promise<Queue<T>> {
    return this.open(this.define(options), open)
  }

  /** A topic that is deleted in the end, after the subscriptions that `subscribe` made. */
  defineTopic<T = unknown>(
    options: TopicOptions<T> = {},
    name = this.harness.unique('t'),
  ): TopicDefinition<T> {
    this.#topics.add(name)
    return defineTopic<T>(name, options)
  }

  /** The topic of a definition, or of a name, through a broker of its own. */
  async openTopic<T>(definition: TopicDefinition<T> | string, options?: OpenOptions): Promise<Topic<T>> {
    const broker = await this.broker(options)
    const topic = broker.topic<T>(definition)
    this.#brokerOf.set(topic, broker)
    return topic
  }

  /** A new topic through a broker of its own. */
  topic<T = unknown>(options: TopicOptions<T> = {}, open?: OpenOptions): Promise<Topic<T>> {
    return this.openTopic(this.defineTopic(options), open)
  }

  /** A subscription that is deleted in the end, whether it was created or not. Names have 5 letters at most. */
  subscription<T>(topic: Topic<T>, name = 'sub', options?: SubscriptionOptions): Subscription<T> {
    const subscription = topic.subscription(name, options)
    this.#subscriptions.set(subscription.name, topic.name)
    return subscription
  }

  /** The same, and created. */
  async subscribe<T>(
    topic: Topic<T>,
    name?: string,
    options?: SubscriptionOptions,
  ): Promise<Subscription<T>> {
    const subscription = this.subscription(topic, name, options)
    await subscription.create()
    return subscription
  }

  /** The broker that `open`, `queue`, `openTopic` or `topic` made for this queue or topic. */
  brokerOf(opened: Pick<Queue<unknown> | Topic<unknown>, 'name'>): Broker {
    const broker = this.#brokerOf.get(opened)
    assert.ok(broker, `"${opened.name}" was not opened by this case`)
    return broker
  }

  /** Declares a queue that nothing was sent to yet, as the core does, and tells with which specification. */
  async declare<T>(definition: QueueDefinition<T>): Promise<QueueSpec> {
    const { watch, declared } = witness()
    const queue = await this.open(definition, { wrap: watch })
    await queue.receive()
    const spec = declared.find((each) => each.name === definition.name)
    assert.ok(spec?.kind === 'queue', `nothing was declared for queue "${definition.name}"`)
    return spec
  }

  /** Sends what the core would refuse to send, by the driver alone. */
  async sendRaw(spec: QueueSpec, messages: readonly RawMessage[]): Promise<void> {
    const driver = await this.driver()
    const sender = await driver.openSender(spec, this.signal)
    for (const message of messages) {
      const outgoing = { delayMs: 0, message: { headers: {}, timestamp: Date.now(), ...message } }
      assert.deepEqual(await sender.send([outgoing], this.signal), [], 'the driver sends it')
    }
    await sender.close()
  }

  /** Consumes and writes down each handler run. */
  consume<T>(queue: MessageSource<T>, handler?: Recorded<T>, options?: ConsumeOptions): Runs<T> {
    return recordRuns(queue, handler, options)
  }

  /** Flow events of one queue, from now on. */
  events(queue: string): FlowEvent[] {
    const events: FlowEvent[] = []
    const note = (event: unknown): void => {
      const step = event as FlowEvent
      if (step.queue === queue) events.push(step)
    }
    flow.subscribe(note)
    this.#ends.push(() => void flow.unsubscribe(note))
    return events
  }

  /** Waits for a fact, as long as the case may last. */
  until<T>(what: string, read: () => T | Promise<T>, holds: (value: T) => boolean): Promise<T> {
    return until(this.signal, what, read, holds)
  }

  /** Waits until a recorder or another list holds at least `count` items. */
  async count(what: string, list: ArrayLike<unknown>, count: number): Promise<void> {
    await this.until(
      `${count} ${what}`,
      () => list.length,
      (length) => length >= count,
    )
  }

  /** Awaits a promise, and says what it was when the time is up. */
  settled<T>(what: string, promise: Promise<T>): Promise<T> {
    return settled(this.signal, what, promise)
  }

  /** All dead letters of a queue, as they are now. */
  deadNow<T>(queue: MessageSource<T>): Promise<DeadLetter<T>[]> {
    return entriesOf(queue)
  }

  /** All dead letters of a queue, as soon as there are at least `count`. */
  dead<T>(queue: MessageSource<T>, count: number): Promise<DeadLetter<T>[]> {
    return this.until(
      `${count} dead letters of queue "${queue.name}"`,
      () => entriesOf(queue),
      (entries) => entries.length >= count,
    )
  }

  /** The quarantined entries of a queue, as soon as there are at least `count`. */
  quarantined<T>(queue: MessageSource<T>, count: number): Promise<DeadLetter<T>[]> {
    const { quarantine } = queue.deadLetters
    this.alsoDelete(quarantine.queue.name)
    return this.until(
      `${count} quarantined entries of queue "${queue.name}"`,
      () => all(quarantine.list()),
      (entries) => entries.length >= count,
    )
  }

  /** A queue that is deleted in the end, beside those the case named itself. */
  alsoDelete(queue: string): void {
    this.#others.add(queue)
  }

  /** Fails when a message can be received. */
  async empty<T>(queue: MessageSource<T>, waitMs = 200): Promise<void> {
    const rest = await queue.receive({ max: 10, wait: waitMs })
    assert.deepEqual(
      rest.map((delivery) => delivery.id),
      [],
      `queue "${queue.name}" should be empty`,
    )
  }

  /** Cuts the connections of this broker's driver. */
  async disconnect(broker: Broker): Promise<void> {
    assert.ok(this.harness.disconnect, 'the case needs `disconnect`; it should have been skipped')
    await this.harness.disconnect(this.#driverOf(broker))
  }

  /** Makes the broker unreachable for this driver, until the returned function is called. */
  async outage(broker: Broker): Promise<() => Promise<void>> {
    assert.ok(this.harness.outage, 'the case needs `outage`; it should have been skipped')
    const restore = await this.harness.outage(this.#driverOf(broker))
    let over = false
    const once = async (): Promise<void> => {
      if (over) return
      over = true
      await restore()
    }
    this.#ends.push(once)
    return once
  }

  /** Called by the runner. Closes and deletes everything. */
  async cleanup(): Promise<void> {
    for (const end of this.#ends) await end()
    await Promise.all([...this.#brokers.keys()].map((broker) => broker.close({ timeout: 500 })))
    await Promise.all([...this.#drivers].map((driver) => driver.close()))
    const objects = this.#objects()
    if (objects.length === 0) return
    const driver = await this.harness.openDriver()
    try {
      for (const each of objects) await driver.admin.delete(each, AbortSignal.timeout(DELETE_MS))
    } finally {
      await driver.close()
    }
  }

  /** What the case may have made, in the order it can be deleted. */
  #objects(): Topology[] {
    return [
      ...[...this.#subscriptions].flatMap(([name, topic]): Topology[] => [
        { ...specOf(name), kind: 'subscription', topic, patterns: ['#'] },
        deadLetterSpecOf(name),
      ]),
      ...[...this.#topics].map((name): Topology => ({ kind: 'topic', name })),
      ...[...this.#names].flatMap((name) => [specOf(name, this.#ordered.has(name)), deadLetterSpecOf(name)]),
      ...[...this.#others].map((name) => ({ ...deadLetterSpecOf(name), name })),
    ]
  }

  #driverOf(broker: Broker): Driver {
    const driver = this.#brokers.get(broker)
    assert.ok(driver, 'the broker was not opened by this case')
    return driver
  }
}

export async function entriesOf<T>(
  queue: MessageSource<T>,
  ...args: Parameters<MessageSource<T>['deadLetters']['list']>
): Promise<DeadLetter<T>[]> {
  return await all(queue.deadLetters.list(...args))
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = []
  for await (const item of items) list.push(item)
  return list
}

/** An emulator that serves one call after the other takes its time; the runner bounds them all. */
const DELETE_MS = 15_000

const COMMON = { kind: 'queue', leaseMs: 30_000, dedupWindowMs: 0, order: 'none' } as const

function specOf(name: string, ordered = false): QueueSpec {
  return {
    ...COMMON,
    order: ordered ? 'key' : 'none',
    name,
    role: 'work',
    deadLetter: `${name}.dlq`,
    deliveryLimit: 100,
  }
}

function deadLetterSpecOf(name: string): QueueSpec {
  return { ...COMMON, name: `${name}.dlq`, role: 'dead-letter' }
}
