import type { ConsumeOptions, Consumer, Handler } from './consumer.js'
import { ConsumerLoop } from './consumer-loop.js'
import type { Context } from './context.js'
import { bounded } from './context.js'
import type { DeadLetters } from './dead-letters.js'
import type { Drift, QueueStats } from './driver.js'
import { milliseconds } from './duration.js'
import { MsgloopError } from './error.js'
import { flow } from './flow.js'
import { Intake } from './intake.js'
import type { ManualDelivery } from './manual-delivery.js'
import { toDelivery } from './manual-delivery.js'
import type { Delivery } from './message.js'
import { onlyKnown, positiveInteger } from './options.js'
import { prepare } from './outgoing.js'
import type { BatchItem, Queue, ReceiveOptions, SendOptions, SendResult } from './queue.js'
import type { ResolvedQueue } from './resolved-queue.js'
import { SenderLink } from './sender-link.js'
import { publishStep } from './steps.js'
import { wrap } from './wrap.js'

const CALL_MS = 30_000
const RECEIVE: readonly (keyof ReceiveOptions)[] = ['max', 'wait', 'signal']

/** What a queue has open, for `broker.close` to close in order. */
export interface OpenParts {
  readonly consumers: Set<Consumer>
  readonly intakes: Set<Intake>
}

export class QueueHandle<T> implements Queue<T> {
  readonly name: string
  readonly deadLetters: DeadLetters<T>
  readonly link: SenderLink
  readonly #context: Context
  readonly #resolved: ResolvedQueue<T>
  readonly #parts: OpenParts

  constructor(
    context: Context,
    resolved: ResolvedQueue<T>,
    parts: OpenParts,
    deadLetters: (self: Queue<T>) => DeadLetters<T>,
  ) {
    this.name = resolved.spec.name
    this.#context = context
    this.#resolved = resolved
    this.#parts = parts
    this.link = new SenderLink(context, resolved, resolved.definition.sendTimeoutMs)
    this.deadLetters = deadLetters(this)
  }

  async send(body: T, options?: SendOptions): Promise<string> {
    this.#context.assertSending()
    const prepared = prepare(this.#context, this.#resolved.definition, body, options)
    const outgoing = prepared instanceof Promise ? await prepared : prepared
    const { message, delayMs } = outgoing
    if (!flow.hasSubscribers) {
      await this.link.send(outgoing, options?.signal)
      return message.id
    }
    const at = this.#context.clock.elapsed()
    await this.link.send(outgoing, options?.signal)
    publishStep(this.#context, message, {
      step: 'sent',
      queue: this.name,
      durationMs: Math.floor(this.#context.clock.elapsed() - at),
      ...(delayMs > 0 && { delayMs }),
    })
    return message.id
  }

  async sendBatch(
    items: readonly BatchItem<T>[],
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<SendResult[]> {
    this.#context.assertSending()
    onlyKnown(`sendBatch to queue "${this.name}"`, options, ['signal'])
    if (!Array.isArray(items))
      throw new MsgloopError('INVALID', `sendBatch to queue "${this.name}" takes an array of { body, … }`, {
        outcome: 'rejected',
      })
    return await Promise.all(
      items.map(async (item): Promise<SendResult> => {
        let id: string | undefined
        try {
          const { body, ...rest } = this.#readItem(item)
          id = rest.id
          return { ok: true, id: await this.send(body, { ...rest, ...options }) }
        } catch (error) {
          return {
            ok: false,
            id,
            error: wrap(this.#context.driver, { action: 'send to', queue: this.name }, error, 'unknown'),
          }
        }
      }),
    )
  }

  consume(handler: Handler<T>, options: ConsumeOptions = {}): Consumer {
    this.#context.assertOpen()
    const { consumers } = this.#parts
    const consumer: Consumer = new ConsumerLoop(this.#context, this.#resolved, handler, options, () =>
      consumers.delete(consumer),
    )
    consumers.add(consumer)
    return consumer
  }

  async receive(options: ReceiveOptions = {}): Promise<Delivery<T>[]> {
    this.#context.assertOpen()
    const at = `receive from queue "${this.name}"`
    onlyKnown(at, options, RECEIVE)
    const { limits } = this.#context.driver.capabilities
    const max = Math.min(positiveInteger(`${at}: option "max"`, options.max ?? 1), limits.receiveBatch)
    const waitMs = milliseconds(`${at}: option "wait"`, options.wait ?? 0)
    const signal = options.signal ?? new AbortController().signal
    const intake = await this.#openForReceive(max, options.signal)
    if (!intake) return []
    this.#parts.intakes.add(intake)
    try {
      const deadline = this.#context.clock.elapsed() + waitMs
      let deliveries: ManualDelivery<T>[] = []
      // What is dead-lettered on sight is not shown: look on, while there is time.
      for (let more = true; more && deliveries.length === 0; ) {
        const left = Math.max(0, deadline - this.#context.clock.elapsed())
        const held = await intake.receive(max, left, signal)
        const made = await Promise.allSettled(
          held.map((each) => toDelivery(this.#context, this.#resolved, each)),
        )
        deliveries = made.flatMap((each) => (each.status === 'fulfilled' && each.value ? [each.value] : []))
        const failed = made.find((each) => each.status === 'rejected')
        // What can be shown is shown; the rest has gone back and comes again.
        if (failed && deliveries.length === 0) throw failed.reason
        more = held.length > 0 && this.#context.clock.elapsed() < deadline
      }
      return deliveries
    } finally {
      // What was fetched beyond what is returned goes back; the rest stays ours until it is settled.
      void intake.retire().then(() => this.#parts.intakes.delete(intake))
    }
  }

  /** `undefined` when the caller's signal ended the wait. */
  async #openForReceive(max: number, signal: AbortSignal | undefined): Promise<Intake | undefined> {
    const { limits } = this.#context.driver.capabilities
    const options = {
      prefetch: max,
      leaseMs: Math.min(this.#resolved.definition.leaseMs, limits.leaseMs),
      maxLeaseMs: this.#resolved.maxLeaseMs,
      consumer: 'receive',
    }
    try {
      return await Intake.open(this.#context, this.#resolved, options, signal)
    } catch (error) {
      if (signal?.aborted) return undefined
      throw error
    }
  }

  async stats(): Promise<QueueStats> {
    const { admin } = this.#context.driver
    return await this.#call('count', async (signal) => {
      await this.#context.topology.ensure(this.#resolved)
      const stats = await admin.stats(this.#resolved.spec, signal)
      const { deadLetter } = this.#resolved
      if (!deadLetter) return { ...stats, dead: undefined }
      return { ...stats, dead: (await admin.stats(deadLetter, signal)).ready }
    })
  }

  async verify(): Promise<readonly Drift[]> {
    const { admin } = this.#context.driver
    return await this.#call('verify', async (signal) => {
      const { deadLetter, spec } = this.#resolved
      const drifts = deadLetter ? await admin.verify(deadLetter, signal) : []
      return [...drifts, ...(await admin.verify(spec, signal))]
    })
  }

  async purge(): Promise<number | undefined> {
    return await this.#call('purge', async (signal) => {
      await this.#context.topology.ensure(this.#resolved)
      return await this.#context.driver.admin.purge(this.#resolved.spec, signal)
    })
  }

  async delete(): Promise<void> {
    await this.#call('delete', (signal) => this.#context.driver.admin.delete(this.#resolved.spec, signal))
    this.#context.topology.forget(this.name)
  }

  /** A copy: whatever getters of it throw, they throw here. */
  #readItem(item: BatchItem<T>): BatchItem<T> {
    const refused = (cause?: unknown): MsgloopError =>
      new MsgloopError('INVALID', `sendBatch to queue "${this.name}": an item is not { body, … }`, {
        outcome: 'rejected',
        ...(cause !== undefined && { cause }),
      })
    if (typeof item !== 'object' || item === null) throw refused()
    try {
      return { ...item }
    } catch (error) {
      throw refused(error)
    }
  }

  async #call<R>(action: string, call: (signal: AbortSignal) => Promise<R>): Promise<R> {
    this.#context.assertOpen()
    try {
      return await bounded(this.#context, CALL_MS, `${action} of queue "${this.name}"`, undefined, call)
    } catch (error) {
      throw wrap(this.#context.driver, { action, queue: this.name }, error)
    }
  }
}
