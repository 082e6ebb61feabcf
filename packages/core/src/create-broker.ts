import type { Broker, BrokerOptions, Health } from './broker.js'
import type { Consumer } from './consumer.js'
import type { Context } from './context.js'
import { bounded, closed } from './context.js'
import type { QueueDefinition } from './define-queue.js'
import type { TopicDefinition } from './define-topic.js'
import type { Capabilities, Driver } from './driver.js'
import type { Duration } from './duration.js'
import { milliseconds } from './duration.js'
import { Handles } from './handles.js'
import type { Intake } from './intake.js'
import { makeContext } from './make-context.js'
import { assertCatchable, onSignal } from './on-signal.js'
import { onlyKnown } from './options.js'
import type { Queue } from './queue.js'
import type { Topic } from './topic.js'
import type { BrokerTopology } from './topology-plan.js'
import { TopologyPlanner } from './topology-planner.js'
import { wrap } from './wrap.js'

const KNOWN: readonly (keyof BrokerOptions)[] = [
  'topology',
  'middleware',
  'maxUnconfirmed',
  'maxUnconfirmedBytes',
  'clock',
  'random',
]

/**
 * A broker over a driver. No I/O: it connects on first use, or by `connect()`.
 *
 * @throws MsgloopError `INVALID` for an unknown option or a bad value
 * @example const broker = createBroker(memory())
 */
export function createBroker(driver: Driver, options: BrokerOptions = {}): Broker {
  onlyKnown('createBroker', options, KNOWN)
  return new DriverBroker(driver, options)
}

class DriverBroker implements Broker {
  readonly name: string
  readonly capabilities: Capabilities
  readonly topology: BrokerTopology
  readonly #driver: Driver
  readonly #context: Context
  readonly #handles: Handles
  readonly #parts = { consumers: new Set<Consumer>(), intakes: new Set<Intake>() }
  readonly #signals = new Set<() => void>()
  #closing: Promise<void> | undefined
  /** Consumers are closed: no handler is left that may send. */
  #sealed = false

  constructor(driver: Driver, options: BrokerOptions) {
    this.name = driver.name
    this.capabilities = driver.capabilities
    this.#driver = driver
    this.#context = makeContext(driver, options, {
      assertOpen: () => {
        if (this.#closing) throw closed(`the broker (${driver.name} at ${driver.address})`)
      },
      assertSending: () => {
        if (this.#sealed) throw closed(`the broker (${driver.name} at ${driver.address})`)
      },
    })
    this.topology = new TopologyPlanner(this.#context)
    this.#handles = new Handles(this.#context, options.middleware ?? [], this.#parts)
  }

  queue<T>(given: QueueDefinition<T> | string): Queue<T> {
    this.#context.assertOpen()
    return this.#handles.queue(given)
  }

  topic<T>(given: TopicDefinition<T> | string): Topic<T> {
    this.#context.assertOpen()
    return this.#handles.topic(given)
  }

  async connect(options: { readonly timeout?: Duration } = {}): Promise<void> {
    this.#context.assertOpen()
    const timeoutMs = milliseconds('connect: option "timeout"', options.timeout ?? '10s')
    try {
      await bounded(this.#context, timeoutMs, 'connecting', undefined, (signal) =>
        this.#driver.connect(signal),
      )
    } catch (error) {
      throw wrap(this.#driver, { action: 'connect' }, error)
    }
  }

  async health(options: { readonly timeout?: Duration } = {}): Promise<Health> {
    const { clock } = this.#context
    const at = clock.elapsed()
    const known = { broker: this.name, address: this.#driver.address }
    try {
      await this.connect({ timeout: options.timeout ?? '5s' })
      return { status: 'up', ...known, latencyMs: Math.floor(clock.elapsed() - at) }
    } catch (error) {
      const wrapped = wrap(this.#driver, { action: 'connect' }, error)
      return { status: 'down', ...known, latencyMs: Math.floor(clock.elapsed() - at), error: wrapped }
    }
  }

  native(): unknown {
    return this.#driver.native()
  }

  close(options: { readonly timeout?: Duration } = {}): Promise<void> {
    const timeoutMs = milliseconds('broker.close: option "timeout"', options.timeout ?? '30s')
    this.#closing ??= this.#close(timeoutMs)
    return this.#closing
  }

  async #close(timeoutMs: number): Promise<void> {
    const { links } = this.#handles
    const { clock } = this.#context
    const cancel = clock.after(timeoutMs, () => {
      for (const link of links) link.abort()
    })
    await Promise.all([...this.#parts.consumers].map((consumer) => consumer.close({ timeout: timeoutMs })))
    this.#sealed = true
    await this.#context.requests.close()
    await Promise.all([...this.#parts.intakes].map((intake) => intake.close()))
    await this.#context.answers.close()
    await Promise.all(links.map((link) => link.close()))
    cancel()
    for (const forget of this.#signals) forget()
    await bounded(this.#context, CLOSE_MS, 'closing the driver', undefined, () => this.#driver.close()).catch(
      (error) =>
        process.emitWarning(wrap(this.#driver, { action: 'close' }, error).message, {
          code: 'MSGLOOP_CLOSE',
        }),
    )
  }

  closeOn(...signals: NodeJS.Signals[]): void {
    this.#context.assertOpen()
    // All or none: a call that throws has changed nothing.
    for (const signal of signals) assertCatchable(signal)
    for (const signal of signals) this.#signals.add(onSignal(signal, () => this.close()))
  }
}

/** A driver that does not close in time is left behind. */
const CLOSE_MS = 10_000
