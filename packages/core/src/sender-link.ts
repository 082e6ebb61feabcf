import { reconnectDelayMs } from './backoff.js'
import type { CancelTimer } from './clock.js'
import { sleep } from './clock.js'
import type { Context } from './context.js'
import { bounded, closed } from './context.js'
import { DeadlineSignals } from './deadline-signals.js'
import type { Outgoing, QueueSpec, Sender } from './driver.js'
import { MsgloopError } from './error.js'
import { Fifo } from './fifo.js'
import { stopController } from './stop-signal.js'
import type { QueueTopology, TopicTopology } from './topology-keeper.js'
import { nameOf } from './topology-keeper.js'
import type { Doing } from './wrap.js'
import { wrap } from './wrap.js'

/** What is sent to. */
export type SendTopology = QueueTopology<QueueSpec> | TopicTopology

interface Item {
  /** Place in the order of sending. */
  readonly sequence: number
  readonly outgoing: Outgoing
  readonly bytes: number
  readonly deadline: number
  readonly resolve: () => void
  readonly reject: (error: MsgloopError) => void
  state: 'queued' | 'underway' | 'over'
  /** The queue was made again for it once; a second time would be a loop. */
  remade: boolean
  lastError: MsgloopError | undefined
  forget: (() => void) | undefined
  /** Called when it is handed to the driver. */
  readonly underway: (() => void) | undefined
}

/** One attempt to open a sender. */
const OPEN_MS = 10_000
/** Between tries of a broker that refuses for now. */
const BUSY_MS = 50

/**
 * Sends to one queue or topic: coalesces concurrent sends into batches, keeps their order, opens and reopens
 * the driver's sender, bounds each send in time, and tries again whatever certainly was not stored.
 */
export class SenderLink {
  readonly #context: Context
  readonly #topology: SendTopology
  readonly #timeoutMs: number
  readonly #stop = stopController()
  /** May hold items that are over; `#queued` counts those that are not. */
  readonly #queue = new Fifo<Item>()
  #queued = 0
  readonly #underway = new Set<Item>()
  #sequence = 0
  #batches = 0
  #sender: Sender | undefined
  #opening = false
  #pumping = false
  readonly #signals: DeadlineSignals
  #sweep: CancelTimer | undefined
  #linger: CancelTimer | undefined
  #paused = false
  #idle: (() => void)[] = []

  constructor(context: Context, topology: SendTopology, timeoutMs: number) {
    this.#context = context
    this.#topology = topology
    this.#timeoutMs = timeoutMs
    this.#signals = new DeadlineSignals(context.clock, timeoutMs)
  }

  /**
   * Resolves when the broker has taken responsibility. `underway` is called before, when it is on its way; `signal`
   * ends nothing after that.
   * @throws MsgloopError with `outcome`
   */
  send(outgoing: Outgoing, signal?: AbortSignal, underway?: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#stop.signal.aborted) return reject(closed('the broker'))
      const item: Item = {
        sequence: ++this.#sequence,
        outgoing,
        bytes: outgoing.message.body.byteLength,
        deadline: this.#context.clock.elapsed() + this.#timeoutMs,
        resolve,
        reject,
        state: 'queued',
        remade: false,
        lastError: undefined,
        forget: undefined,
        underway,
      }
      if (signal) {
        const abort = (): void => this.#fail(item, this.#aborted(item, signal))
        if (signal.aborted) return reject(this.#aborted(item, signal))
        signal.addEventListener('abort', abort, { once: true })
        item.forget = () => signal.removeEventListener('abort', abort)
      }
      this.#queue.push(item)
      this.#queued++
      this.#sweep ??= this.#context.clock.after(this.#timeoutMs, this.#expire)
      this.#schedule()
    })
  }

  /** Waits for what is under way, each within its deadline, then lets go of the driver's sender. */
  async close(): Promise<void> {
    while (this.#queued > 0 || this.#underway.size > 0)
      await new Promise<void>((resolve) => this.#idle.push(resolve))
    this.#stop.abort()
    this.#sweep?.()
    this.#linger?.()
    this.#signals.stop()
    await this.#drop()
  }

  /** Fails everything now. */
  abort(): void {
    this.#stop.abort()
    for (const item of [...this.#queue.drain(), ...this.#underway]) {
      const outcome = item.state === 'queued' ? 'rejected' : 'unknown'
      this.#fail(item, new MsgloopError('CLOSED', `${this.#what()} was closed before it ended`, { outcome }))
    }
    this.#signals.abort()
  }

  #schedule(): void {
    if (this.#pumping) return
    const { sendLingerMs, sendBatch } = this.#context.driver.capabilities.limits
    if (sendLingerMs > 0 && this.#queued < sendBatch) {
      this.#linger ??= this.#context.clock.after(sendLingerMs, this.#pump)
      return
    }
    this.#pumping = true
    queueMicrotask(this.#pump)
  }

  readonly #pump = (): void => {
    this.#pumping = false
    this.#linger?.()
    this.#linger = undefined
    if (this.#paused || this.#queued === 0) return
    if (!this.#sender) return void this.#open()
    const { limits } = this.#context.driver.capabilities
    // What has to be sent again must come before what is sent later.
    const { spec } = this.#topology
    const atOnce = spec.kind === 'queue' && spec.order === 'key' ? 1 : limits.sendsInFlight
    while (this.#queued > 0 && this.#batches < atOnce) {
      const batch = this.#cut(limits.sendBatch, limits.sendBatchBytes)
      if (batch.length === 0) return
      void this.#run(this.#sender, batch)
    }
  }

  #cut(maxCount: number, maxBytes: number): Item[] {
    const batch: Item[] = []
    let bytes = 0
    for (let item = this.#queue.peek(); item && batch.length < maxCount; item = this.#queue.peek()) {
      if (item.state === 'queued') {
        if (batch.length > 0 && bytes + item.bytes > maxBytes) break
        if (!this.#context.budget.take(item.bytes, this.#pump)) break
        bytes += item.bytes
        item.state = 'underway'
        this.#queued--
        this.#underway.add(item)
        batch.push(item)
        if (item.underway) {
          item.forget?.()
          item.underway()
        }
      }
      this.#queue.shift()
    }
    return batch
  }

  async #run(sender: Sender, batch: Item[]): Promise<void> {
    this.#batches++
    const again: Item[] = []
    let broken = false
    const failed = (item: Item, error: unknown): void => {
      const wrapped = this.#wrapped(error)
      if (wrapped.code === 'CONNECTION_LOST' || wrapped.code === 'CLOSED') broken = true
      if (item.state === 'over' || this.#stop.signal.aborted || !this.#mayRepeat(item, wrapped))
        this.#fail(item, wrapped)
      else {
        item.lastError = wrapped
        again.push(item)
      }
    }
    try {
      const failures = await sender.send(
        batch.map((item) => item.outgoing),
        this.#signals.next(),
      )
      if (failures.length > 0) {
        const errors = new Map(failures.map(({ index, error }) => [index, error]))
        batch.forEach((item, index) => {
          if (!errors.has(index)) this.#done(item)
          else if (this.#overtaken(batch, index, errors)) this.#fail(item, this.#wrapped(errors.get(index)))
          else failed(item, errors.get(index))
        })
      } else for (const item of batch) this.#done(item)
    } catch (error) {
      for (const item of batch) failed(item, error)
    }
    this.#batches--
    for (const item of batch) this.#context.budget.give(item.bytes)
    if (broken && this.#sender === sender) {
      this.#context.topology.forget(this.#topology.spec)
      void this.#drop()
    }
    if (again.length > 0) await this.#requeue(again)
    if (this.#queued > 0) this.#schedule()
    this.#settleIdle()
  }

  /** Only what certainly was not stored, or what the broker would drop as a duplicate, is sent again. */
  #mayRepeat(item: Item, error: MsgloopError): boolean {
    if (
      error.code === 'NOT_FOUND' &&
      error.outcome === 'rejected' &&
      this.#context.topology.declares &&
      !item.remade
    ) {
      item.remade = true
      this.#context.topology.forget(this.#topology.spec)
      void this.#drop()
      return true
    }
    return error.retryable && (error.outcome === 'rejected' || this.#dedups)
  }

  /** A later one of its key was stored: sent again now, it would come behind that. */
  #overtaken(batch: readonly Item[], index: number, errors: ReadonlyMap<number, unknown>): boolean {
    const { spec } = this.#topology
    const key = batch[index]?.outgoing.message.key
    if (spec.kind !== 'queue' || spec.order !== 'key' || key === undefined) return false
    return batch.some(
      ({ outgoing }, other) => other > index && !errors.has(other) && outgoing.message.key === key,
    )
  }

  #wrapped(error: unknown): MsgloopError {
    return wrap(this.#context.driver, this.#doing(), error, 'unknown')
  }

  async #requeue(items: Item[]): Promise<void> {
    for (const item of items) {
      if (item.state === 'over') continue
      this.#underway.delete(item)
      item.state = 'queued'
      this.#queued++
    }
    const waiting = [...items, ...this.#queue.drain()].filter((item) => item.state === 'queued')
    for (const item of waiting.sort((a, b) => a.sequence - b.sequence)) this.#queue.push(item)
    this.#paused = true
    await sleep(this.#context.clock, BUSY_MS, this.#stop.signal)
    this.#paused = false
  }

  async #open(): Promise<void> {
    if (this.#opening) return
    this.#opening = true
    const { driver, topology, clock, random } = this.#context
    for (let attempt = 1; this.#queued > 0 && !this.#stop.signal.aborted; attempt++) {
      try {
        this.#sender = await bounded(
          this.#context,
          OPEN_MS,
          `opening a sender for ${nameOf(this.#topology.spec)}`,
          this.#stop.signal,
          async (signal) => {
            await topology.ensure(this.#topology)
            return await driver.openSender(this.#topology.spec, signal)
          },
          (late) => void late.close().catch(() => {}),
        )
        break
      } catch (error) {
        const wrapped = wrap(driver, this.#doing(), error, 'rejected')
        this.#blame(wrapped)
        if (this.#queued > 0) await sleep(clock, reconnectDelayMs(attempt, random), this.#stop.signal)
      }
    }
    this.#opening = false
    this.#pump()
  }

  /** What waits cannot be sent for now; or ever, when waiting will not mend it. */
  #blame(error: MsgloopError): void {
    const final = !error.retryable && error.code !== 'ABORTED'
    for (const item of this.#queue.drain()) {
      item.lastError = error
      if (final) this.#fail(item, asRejected(error))
      else if (item.state === 'queued') this.#queue.push(item)
    }
  }

  async #drop(): Promise<void> {
    const sender = this.#sender
    this.#sender = undefined
    await sender?.close().catch(() => {})
  }

  /** Ends the sends whose time is over, and sees to the next. */
  readonly #expire = (): void => {
    const now = this.#context.clock.elapsed()
    const queued = this.#queue.drain()
    let next = Number.POSITIVE_INFINITY
    for (const item of [...this.#underway, ...queued]) {
      if (item.deadline <= now) this.#fail(item, this.#late(item))
      else next = Math.min(next, item.deadline)
    }
    for (const item of queued) if (item.state === 'queued') this.#queue.push(item)
    this.#sweep = Number.isFinite(next) ? this.#context.clock.after(next - now, this.#expire) : undefined
  }

  #late(item: Item): MsgloopError {
    const reason = item.lastError ? `: ${item.lastError.message}` : ''
    return new MsgloopError('TIMEOUT', `${this.#what()} took longer than ${this.#timeoutMs} ms${reason}`, {
      retryable: true,
      outcome: item.state === 'queued' ? 'rejected' : 'unknown',
      cause: item.lastError,
    })
  }

  #done(item: Item): void {
    if (this.#over(item)) item.resolve()
  }

  #fail(item: Item, error: MsgloopError): void {
    if (this.#over(item)) item.reject(error)
  }

  #over(item: Item): boolean {
    if (item.state === 'over') return false
    if (item.state === 'queued') this.#queued--
    else this.#underway.delete(item)
    item.state = 'over'
    item.forget?.()
    this.#settleIdle()
    return true
  }

  #settleIdle(): void {
    if (this.#idle.length === 0 || this.#queued > 0 || this.#underway.size > 0) return
    for (const resolve of this.#idle.splice(0)) resolve()
  }

  #aborted(item: Item, signal: AbortSignal): MsgloopError {
    const outcome = item.state === 'underway' ? 'unknown' : 'rejected'
    return new MsgloopError('ABORTED', `${this.#what()} was aborted by its signal`, {
      outcome,
      cause: signal.reason,
    })
  }

  #doing(): Doing {
    const { kind, name } = this.#topology.spec
    return kind === 'topic' ? { action: 'publish to', topic: name } : { action: 'send to', queue: name }
  }

  get #dedups(): boolean {
    const { spec } = this.#topology
    return spec.kind !== 'topic' && spec.dedupWindowMs > 0
  }

  #what(): string {
    const { driver } = this.#context
    const { spec } = this.#topology
    const verb = spec.kind === 'topic' ? 'publish to' : 'send to'
    return `${driver.name} at ${driver.address}: ${verb} ${nameOf(spec)}`
  }
}

function asRejected(error: MsgloopError): MsgloopError {
  return new MsgloopError(error.code, error.message, {
    retryable: error.retryable,
    outcome: 'rejected',
    cause: error.cause,
  })
}
