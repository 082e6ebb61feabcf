import type { CancelTimer } from './clock.js'
import type { Context } from './context.js'
import { bounded } from './context.js'
import { DeadlineSignals } from './deadline-signals.js'
import type { Receiver, Settlement, Source, Verdict } from './driver.js'
import { MsgloopError } from './error.js'
import { flow } from './flow.js'
import { Held } from './held.js'
import { LeaseKeeper } from './lease-keeper.js'
import { publishStep } from './steps.js'
import type { QueueTopology } from './topology-keeper.js'
import { wrap } from './wrap.js'

/** One attempt to open a receiver. */
const OPEN_MS = 10_000
/** A settlement the broker does not answer has failed; it is tried again. */
const SETTLE_MS = 30_000
/** A driver that does not answer a stop or close is left behind. */
const CLOSE_MS = 5_000

export interface IntakeOptions {
  readonly prefetch: number
  readonly leaseMs: number
  readonly maxLeaseMs: number
  readonly consumer: string
}

interface Pending {
  readonly settlement: Settlement
  readonly resolve: () => void
  readonly reject: (error: MsgloopError) => void
}

/**
 * One open receiver and the deliveries held through it. A consumer replaces its intake when the
 * connection is lost or the concurrency changes; the old one lives until its last delivery is settled.
 */
export class Intake {
  readonly #context: Context
  readonly #queue: string
  readonly #spec: Source
  readonly #options: IntakeOptions
  readonly #held = new Set<Held>()
  readonly #signals: DeadlineSignals
  #receiver!: Receiver
  #keeper: LeaseKeeper | undefined
  #pending: Pending[] = []
  #linger: CancelTimer | undefined
  #closed: Promise<void> | undefined
  #lost: MsgloopError | undefined
  #onEmpty: (() => void)[] = []

  private constructor(context: Context, spec: Source, options: IntakeOptions) {
    this.#context = context
    this.#queue = spec.name
    this.#spec = spec
    this.#options = options
    this.#signals = new DeadlineSignals(context.clock, SETTLE_MS)
  }

  static async open(
    context: Context,
    topology: QueueTopology,
    options: IntakeOptions,
    stop: AbortSignal | undefined,
  ): Promise<Intake> {
    const { driver } = context
    const queue = topology.spec.name
    const intake = new Intake(context, topology.spec, options)
    try {
      intake.#receiver = await bounded(
        context,
        OPEN_MS,
        `opening a receiver for queue "${queue}"`,
        stop,
        async (signal) => {
          await context.topology.ensure(topology)
          return await driver.openReceiver(
            topology.spec,
            {
              prefetch: options.prefetch,
              leaseMs: options.leaseMs,
              consumer: options.consumer,
              onLost: (error) => intake.#onLost(error),
            },
            signal,
          )
        },
        (late) => void late.close().catch(() => {}),
      )
    } catch (error) {
      context.topology.forget(topology.spec)
      throw wrap(driver, { action: 'receive from', queue }, error)
    }
    intake.#keeper = new LeaseKeeper(context, intake.#receiver, queue, intake.#held, options)
    return intake
  }

  get held(): ReadonlySet<Held> {
    return this.#held
  }

  async receive(max: number, waitMs: number, signal: AbortSignal): Promise<Held[]> {
    try {
      const deliveries = await this.#receiver.receive(max, waitMs, signal)
      const now = this.#context.clock.elapsed()
      const received: Held[] = []
      for (const delivery of deliveries) {
        const held = new Held(delivery, this, now)
        if (this.#lost) held.lose(this.#lost)
        else this.#held.add(held)
        received.push(held)
        if (flow.hasSubscribers) this.#step('received', held)
      }
      if (received.length > 0) this.#keeper?.wake()
      return received
    } catch (error) {
      const wrapped = wrap(this.#context.driver, { action: 'receive from', queue: this.#queue }, error)
      if (wrapped.code === 'NOT_FOUND' || wrapped.code === 'CONNECTION_LOST')
        this.#context.topology.forget(this.#spec)
      throw wrapped
    }
  }

  /** Tells the broker. @throws MsgloopError; with `LEASE_LOST` the delivery is no longer ours */
  async settle(held: Held, verdict: Verdict): Promise<void> {
    if (held.lost) throw held.lost
    held.settling = true
    const renewal = this.#keeper?.renewing
    if (renewal) await renewal
    try {
      this.#keeper?.check(held)
      if (held.lost) throw held.lost
      await new Promise<void>((resolve, reject) => {
        this.#pending.push({ settlement: { token: held.delivery.token, verdict }, resolve, reject })
        this.#flushSoon()
      })
      this.#letGo(held)
    } catch (error) {
      held.settling = false
      if (error instanceof MsgloopError && error.code === 'LEASE_LOST') this.lose(held, error)
      throw error
    }
  }

  async extend(held: Held, leaseMs: number): Promise<void> {
    if (held.lost) throw held.lost
    await this.#keeper?.extend(held, leaseMs)
  }

  /** The delivery is over for us, without our having settled it. */
  lose(held: Held, error: MsgloopError): void {
    if (!held.lost) {
      held.lose(error)
      if (flow.hasSubscribers) this.#step('lease-lost', held)
    }
    this.#letGo(held)
  }

  /** Fetches no more and gives back what was not received. */
  async stop(): Promise<void> {
    await this.#quietly('stopping', () => this.#receiver.stop())
  }

  /** Stops, waits until the last delivery is settled or lost, and closes. */
  async retire(): Promise<void> {
    await this.stop()
    if (this.#held.size > 0) await new Promise<void>((resolve) => this.#onEmpty.push(resolve))
    await this.close()
  }

  /** Closes now: what is held goes back to the broker. */
  close(): Promise<void> {
    this.#closed ??= this.#quietly('closing', async () => {
      this.#keeper?.stop()
      this.#signals.stop()
      await this.#receiver.close()
    })
    return this.#closed
  }

  #flushSoon(): void {
    const { settleBatch, settleLingerMs } = this.#context.driver.capabilities.limits
    const { length } = this.#pending
    if (settleLingerMs === 0) {
      if (length === 1) queueMicrotask(this.#flush)
    } else if (length === settleBatch) this.#flush()
    else this.#linger ??= this.#context.clock.after(settleLingerMs, this.#flush)
  }

  readonly #flush = (): void => {
    const { settleBatch } = this.#context.driver.capabilities.limits
    this.#linger?.()
    this.#linger = undefined
    const pending = this.#pending
    this.#pending = []
    for (let at = 0; at < pending.length; at += settleBatch)
      void this.#tell(pending.length <= settleBatch ? pending : pending.slice(at, at + settleBatch))
  }

  async #tell(batch: readonly Pending[]): Promise<void> {
    const failed = (error: unknown): MsgloopError =>
      wrap(this.#context.driver, { action: 'settle a delivery of', queue: this.#queue }, error)
    try {
      const failures = await this.#receiver.settle(
        batch.map((item) => item.settlement),
        this.#signals.next(),
      )
      for (const { index, error } of failures) batch[index]?.reject(failed(error))
      for (const item of batch) item.resolve()
    } catch (error) {
      for (const item of batch) item.reject(failed(error))
    }
  }

  #onLost(error: unknown): void {
    const wrapped = wrap(this.#context.driver, { action: 'keep deliveries of', queue: this.#queue }, error)
    const lost = new MsgloopError('LEASE_LOST', wrapped.message, { cause: error })
    this.#lost = lost
    for (const held of [...this.#held]) this.lose(held, lost)
  }

  #letGo(held: Held): void {
    if (!this.#held.delete(held) || this.#held.size > 0) return
    for (const resolve of this.#onEmpty.splice(0)) resolve()
  }

  async #quietly(what: string, call: () => Promise<void>): Promise<void> {
    // What cannot be closed is gone already, or goes with the connection.
    await bounded(
      this.#context,
      CLOSE_MS,
      `${what} a receiver of queue "${this.#queue}"`,
      undefined,
      call,
    ).catch(() => {})
  }

  #step(step: 'received' | 'lease-lost', { delivery, lost }: Held): void {
    publishStep(this.#context, delivery.message, {
      step,
      queue: this.#queue,
      consumer: this.#options.consumer,
      deliveries: delivery.deliveries,
      ...(lost && { error: lost }),
    })
  }
}
