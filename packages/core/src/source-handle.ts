import { adminCall } from './admin-call.js'
import { BatchConsumer } from './batch-consumer.js'
import type { BatchConsumeOptions, BatchHandler } from './batch-handler.js'
import type { ConsumeOptions, Consumer, Handler } from './consumer.js'
import { ConsumerLoop } from './consumer-loop.js'
import type { Context } from './context.js'
import type { DeadLetters } from './dead-letters.js'
import type { Drift, QueueStats } from './driver.js'
import { milliseconds } from './duration.js'
import { MsgloopError } from './error.js'
import { firstOfEachKey } from './first-of-key.js'
import { Intake } from './intake.js'
import type { ManualDelivery } from './manual-delivery.js'
import { toDelivery } from './manual-delivery.js'
import type { Delivery } from './message.js'
import { onlyKnown, positiveInteger } from './options.js'
import type { MessageSource, ReceiveOptions } from './queue.js'
import type { ResolvedQueue } from './resolved-queue.js'
import { inOrder } from './topology-keeper.js'

const RECEIVE: readonly (keyof ReceiveOptions)[] = ['max', 'wait', 'signal']

/** What is open on a broker, for `broker.close` to close in order. */
export interface OpenParts {
  readonly consumers: Set<Consumer>
  readonly intakes: Set<Intake>
}

/** The reading half of a queue, and all of a subscription. */
export class SourceHandle<T> implements MessageSource<T> {
  readonly name: string
  readonly deadLetters: DeadLetters<T>
  readonly #context: Context
  readonly #resolved: ResolvedQueue<T>
  readonly #parts: OpenParts

  constructor(context: Context, resolved: ResolvedQueue<T>, parts: OpenParts, deadLetters: DeadLetters<T>) {
    this.name = resolved.spec.name
    this.#context = context
    this.#resolved = resolved
    this.#parts = parts
    this.deadLetters = deadLetters
  }

  consume<Tx = undefined>(handler: Handler<T, Tx>, options: ConsumeOptions<Tx> = {}): Consumer {
    this.#context.assertOpen()
    const { consumers } = this.#parts
    const consumer: Consumer = new ConsumerLoop(this.#context, this.#resolved, handler, options, () =>
      consumers.delete(consumer),
    )
    consumers.add(consumer)
    return consumer
  }

  consumeBatch(handler: BatchHandler<T>, options: BatchConsumeOptions): Consumer {
    this.#context.assertOpen()
    const { consumers } = this.#parts
    const consumer: Consumer = new BatchConsumer(this.#context, this.#resolved, handler, options, () =>
      consumers.delete(consumer),
    )
    consumers.add(consumer)
    return consumer
  }

  async receive(options: ReceiveOptions = {}): Promise<Delivery<T>[]> {
    this.#context.assertOpen()
    const at = `receive from queue "${this.name}"`
    onlyKnown(at, options, RECEIVE)
    if (this.#resolved.definition.guarantee === 'exactly-once')
      throw new MsgloopError(
        'UNSUPPORTED',
        `${at}: its guarantee is 'exactly-once', and acking by hand cannot be; use consume(handler, { inbox })`,
      )
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
        const received = await intake.receive(max, left, signal)
        const held = this.#resolved.spec.order === 'key' ? await firstOfEachKey(received) : received
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
    return await adminCall(this.#context, 'count', this.#resolved.spec, async (signal) => {
      await this.#context.topology.ensure(this.#resolved)
      const stats = await admin.stats(this.#resolved.spec, signal)
      const { deadLetter } = this.#resolved
      if (!deadLetter) return { ...stats, dead: undefined }
      return { ...stats, dead: (await admin.stats(deadLetter, signal)).ready }
    })
  }

  async verify(): Promise<readonly Drift[]> {
    const { admin } = this.#context.driver
    return await adminCall(this.#context, 'verify', this.#resolved.spec, async (signal) => {
      const drifts: Drift[] = []
      for (const each of inOrder(this.#resolved)) drifts.push(...(await admin.verify(each, signal)))
      return drifts
    })
  }

  async purge(): Promise<number | undefined> {
    return await adminCall(this.#context, 'purge', this.#resolved.spec, async (signal) => {
      await this.#context.topology.ensure(this.#resolved)
      return await this.#context.driver.admin.purge(this.#resolved.spec, signal)
    })
  }

  async delete(): Promise<void> {
    await adminCall(this.#context, 'delete', this.#resolved.spec, (signal) =>
      this.#context.driver.admin.delete(this.#resolved.spec, signal),
    )
    this.#context.topology.forget(this.#resolved.spec)
  }
}
