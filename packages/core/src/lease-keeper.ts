import type { CancelTimer } from './clock.js'
import type { Context } from './context.js'
import { bounded } from './context.js'
import type { Receiver } from './driver.js'
import { MsgloopError } from './error.js'
import type { Held } from './held.js'
import { wrap } from './wrap.js'

export interface LeaseOptions {
  readonly leaseMs: number
  readonly maxLeaseMs: number
}

/**
 * Renews the leases of what is held, all in one call every third of a lease, until `maxLeaseMs`.
 * Where leases last as long as the connection there is nothing to renew, only `maxLeaseMs` to watch.
 */
export class LeaseKeeper {
  readonly #context: Context
  readonly #receiver: Receiver
  readonly #queue: string
  readonly #held: ReadonlySet<Held>
  readonly #options: LeaseOptions
  readonly #renews: boolean
  #timer: CancelTimer | undefined
  #renewing: Promise<void> | undefined
  #stopped = false

  constructor(
    context: Context,
    receiver: Receiver,
    queue: string,
    held: ReadonlySet<Held>,
    options: LeaseOptions,
  ) {
    this.#context = context
    this.#receiver = receiver
    this.#queue = queue
    this.#held = held
    this.#options = options
    this.#renews = context.driver.capabilities.lease === 'renewable'
  }

  /** A renewal under way. A settlement waits for it: arriving later, it would undo the settlement. */
  get renewing(): Promise<void> | undefined {
    return this.#renewing
  }

  /** Something is held. The timer is left running while there is, and not touched per message. */
  wake(): void {
    if (this.#timer || this.#stopped) return
    const [oldest] = this.#held
    if (!oldest) return
    const untilOver = oldest.receivedAt + this.#options.maxLeaseMs - this.#context.clock.elapsed()
    const wait = this.#renews ? Math.min(this.#options.leaseMs / 3, untilOver) : untilOver
    this.#timer = this.#context.clock.after(Math.max(1, wait), () => void this.#tick())
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.()
    this.#timer = undefined
  }

  /** Loses a delivery whose lease has run out unseen, as when the event loop was blocked. */
  check(held: Held): void {
    const { clock } = this.#context
    if (!this.#renews || clock.elapsed() - held.leasedAt <= this.#options.leaseMs) return
    held.intake.lose(
      held,
      new MsgloopError(
        'LEASE_LOST',
        `${this.#what()}: its lease of ${this.#options.leaseMs} ms ran out before it was renewed`,
      ),
    )
  }

  async extend(held: Held, leaseMs: number): Promise<void> {
    if (!this.#receiver.extend)
      throw new MsgloopError(
        'UNSUPPORTED',
        `${this.#what()}: ${this.#context.driver.name} cannot extend a lease; it lasts as long as the connection`,
      )
    const renewal = this.#receiver.extend([held.delivery.token], leaseMs)
    const failures = await this.#answered(renewal, this.#options.leaseMs)
    const failure = failures[0]
    if (failure) throw this.#failed([held], failure.error)
    held.leasedAt = this.#context.clock.elapsed() + leaseMs - this.#options.leaseMs
  }

  async #tick(): Promise<void> {
    const now = this.#context.clock.elapsed()
    const due: Held[] = []
    for (const held of [...this.#held]) {
      if (held.settling) continue
      if (now - held.receivedAt >= this.#options.maxLeaseMs) this.#giveUp(held)
      else if (this.#renews) {
        this.check(held)
        if (!held.lost && now - held.leasedAt >= this.#options.leaseMs / 3) due.push(held)
      }
    }
    if (due.length > 0 && this.#receiver.extend) {
      this.#renewing = this.#renew(due, now, this.#receiver.extend.bind(this.#receiver))
      await this.#renewing
      this.#renewing = undefined
      for (const held of due) if (!held.settling) this.check(held)
    }
    this.#timer = undefined
    this.wake()
  }

  async #renew(due: readonly Held[], now: number, extend: NonNullable<Receiver['extend']>): Promise<void> {
    const { settleBatch } = this.#context.driver.capabilities.limits
    for (let at = 0; at < due.length; at += settleBatch) {
      const batch = due.slice(at, at + settleBatch)
      try {
        const failures = await this.#answered(
          extend(
            batch.map((held) => held.delivery.token),
            this.#options.leaseMs,
          ),
          Math.min(...batch.map((held) => held.leasedAt)) + this.#options.leaseMs - now,
        )
        const failed = new Map(failures.map(({ index, error }) => [index, error]))
        batch.forEach((held, index) => {
          if (failed.has(index)) this.#failed([held], failed.get(index))
          else held.leasedAt = now
        })
      } catch (error) {
        this.#failed(batch, error)
      }
    }
  }

  /**
   * A settlement waits for the renewal under way, so that has an end: when the lease is over, a renewal
   * that was not answered can undo nothing any more.
   */
  #answered<R>(renewal: Promise<R>, untilOverMs: number): Promise<R> {
    return bounded(this.#context, Math.max(0, untilOverMs) + 1, this.#what(), undefined, () => renewal)
  }

  /** Anything but a lost lease is tried again at the next tick, while the lease lasts. */
  #failed(batch: readonly Held[], error: unknown): MsgloopError {
    const wrapped = wrap(this.#context.driver, { action: 'renew a lease of', queue: this.#queue }, error)
    if (wrapped.code === 'LEASE_LOST') for (const held of batch) held.intake.lose(held, wrapped)
    return wrapped
  }

  #giveUp(held: Held): void {
    const reason = new MsgloopError(
      'LEASE_LOST',
      `${this.#what()}: it was held for its maxLease of ${this.#options.maxLeaseMs} ms and is given back`,
    )
    held.abort(reason)
    held.intake.settle(held, { kind: 'release' }).catch(() => {})
    held.lose(reason)
  }

  #what(): string {
    const { driver } = this.#context
    return `${driver.name} at ${driver.address}: delivery of queue "${this.#queue}"`
  }
}
