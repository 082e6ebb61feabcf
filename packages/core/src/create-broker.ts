import type { Broker, BrokerOptions, Health } from './broker.js'
import type { Consumer } from './consumer.js'
import type { Context } from './context.js'
import { bounded, closed } from './context.js'
import { DeadLetterShelf } from './dead-letter-shelf.js'
import type { QueueDefinition } from './define-queue.js'
import { defineQueue } from './define-queue.js'
import type { Capabilities, Driver } from './driver.js'
import type { Duration } from './duration.js'
import { milliseconds } from './duration.js'
import { MsgloopError } from './error.js'
import type { Intake } from './intake.js'
import { makeContext } from './make-context.js'
import { assertCatchable, onSignal } from './on-signal.js'
import { onlyKnown } from './options.js'
import type { Queue } from './queue.js'
import { QueueHandle } from './queue-handle.js'
import { resolveDeadLetterQueue, resolveQueue } from './resolved-queue.js'
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

interface Known {
  readonly definition: QueueDefinition<unknown>
  readonly handle: QueueHandle<unknown>
}

class DriverBroker implements Broker {
  readonly name: string
  readonly capabilities: Capabilities
  readonly #driver: Driver
  readonly #options: BrokerOptions
  readonly #context: Context
  readonly #queues = new Map<string, Known>()
  readonly #deadLetterQueues = new Map<string, QueueHandle<unknown>>()
  readonly #parts = { consumers: new Set<Consumer>(), intakes: new Set<Intake>() }
  readonly #signals = new Set<() => void>()
  #closing: Promise<void> | undefined
  /** Consumers are closed: no handler is left that may send. */
  #sealed = false

  constructor(driver: Driver, options: BrokerOptions) {
    this.name = driver.name
    this.capabilities = driver.capabilities
    this.#driver = driver
    this.#options = options
    this.#context = makeContext(driver, options, {
      assertOpen: () => {
        if (this.#closing) throw closed(`the broker (${driver.name} at ${driver.address})`)
      },
      assertSending: () => {
        if (this.#sealed) throw closed(`the broker (${driver.name} at ${driver.address})`)
      },
    })
  }

  queue<T>(given: QueueDefinition<T> | string): Queue<T> {
    this.#context.assertOpen()
    if (typeof given !== 'string' && typeof given?.retry?.delayMs !== 'function')
      throw new MsgloopError('INVALID', 'broker.queue takes what defineQueue() made, or a name')
    const name = typeof given === 'string' ? given : given.name
    const deadLetterQueue = this.#deadLetterQueues.get(name)
    if (deadLetterQueue && typeof given === 'string') return deadLetterQueue as unknown as Queue<T>
    const known = this.#queues.get(name)
    if (known) {
      // One name, one definition: whoever asks for it by the same definition gets it back typed.
      if (typeof given === 'string' || known.definition === given) return known.handle as unknown as Queue<T>
      throw new MsgloopError(
        'INVALID',
        `queue "${name}" is open with another definition; define it once and share that`,
      )
    }
    if (deadLetterQueue)
      throw new MsgloopError(
        'INVALID',
        `queue "${name}" is the dead-letter queue of another; use its deadLetters.queue`,
      )
    const definition = typeof given === 'string' ? defineQueue<T>(given) : given
    const handle = this.#make(definition)
    this.#queues.set(name, { definition, handle } as unknown as Known)
    return handle
  }

  #make<T>(definition: QueueDefinition<T>): QueueHandle<T> {
    const resolved = resolveQueue(
      this.#driver.name,
      this.capabilities,
      definition,
      this.#options.middleware ?? [],
    )
    const deadResolved = resolveDeadLetterQueue(resolved)
    const makeDead = (): Queue<T> => {
      const known = this.#deadLetterQueues.get(deadResolved.spec.name)
      if (known) return known as unknown as Queue<T>
      const handle = new QueueHandle<T>(
        this.#context,
        deadResolved,
        this.#parts,
        (self) => new DeadLetterShelf(this.#context, resolved, deadResolved, () => self),
      )
      this.#deadLetterQueues.set(deadResolved.spec.name, handle as unknown as QueueHandle<unknown>)
      return handle
    }
    makeDead()
    return new QueueHandle<T>(
      this.#context,
      resolved,
      this.#parts,
      () => new DeadLetterShelf(this.#context, resolved, deadResolved, makeDead),
    )
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
    const handles = [
      ...this.#deadLetterQueues.values(),
      ...[...this.#queues.values()].map(({ handle }) => handle),
    ]
    const { clock } = this.#context
    const cancel = clock.after(timeoutMs, () => {
      for (const { link } of handles) link.abort()
    })
    await Promise.all([...this.#parts.consumers].map((consumer) => consumer.close({ timeout: timeoutMs })))
    this.#sealed = true
    await Promise.all([...this.#parts.intakes].map((intake) => intake.close()))
    await Promise.all(handles.map(({ link }) => link.close()))
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
