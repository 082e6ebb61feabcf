import { type Attempting, attempt } from './attempt.js'
import { reconnectDelayMs } from './backoff.js'
import { type Book, readBook } from './book.js'
import { type CancelTimer, sleep, within } from './clock.js'
import { resolveConsume } from './consume-options.js'
import type { ConsumeOptions, Consumer, ConsumerState, Handler } from './consumer.js'
import type { Context } from './context.js'
import type { Duration } from './duration.js'
import { milliseconds } from './duration.js'
import { MsgloopError } from './error.js'
import type { ExactlyOnce } from './exactly-once.js'
import { exactlyOnce } from './exactly-once.js'
import { Gate } from './gate.js'
import type { Held } from './held.js'
import { HeldRetries } from './held-retries.js'
import { Intake } from './intake.js'
import type { Judgement } from './judge.js'
import { acked, RELEASE, UNANSWERED } from './judge.js'
import { positiveInteger } from './options.js'
import { QuietCheck } from './quiet-check.js'
import { type ResolvedQueue, retriesHere } from './resolved-queue.js'
import { compose, holding } from './run-handler.js'
import { Settler } from './settler.js'
import { stopController } from './stop-signal.js'
import { Trouble } from './trouble.js'
import { spare, Turns } from './turns.js'
import { Wake } from './wake.js'

/** How long one `receive` waits: the longest SQS allows; shorter ones only cost. */
const POLL_MS = 20_000
/** How long an intake of full size waits for handlers of the one before. */
const DRAIN_MS = 1_000
/** Errors that time alone will not mend: the consumer ends. */
const FATAL = new Set(['DRIFT', 'UNSUPPORTED', 'INVALID', 'CLOSED'])

/** Fetches, feeds the handler, settles; replaces its intake whenever it must. */
export class ConsumerLoop<T> implements Consumer {
  readonly name: string
  readonly queue: string
  readonly #context: Context
  readonly #resolved: ResolvedQueue<T>
  readonly #attempting: Attempting<T>
  readonly #settler: Settler
  readonly #trouble: Trouble
  readonly #exactlyOnce: ExactlyOnce<T> | undefined
  readonly #prefetch: number
  readonly #closed: () => void
  readonly #stop = stopController()
  /** Where the broker pushes. */
  readonly #check: QuietCheck | undefined
  readonly #running = new Set<Held>()
  /** Running no more, and being settled. */
  readonly #ending = new Set<Held>()
  /** Received, and waiting for a slot or for one of their key. */
  readonly #turns: Turns
  /** Where retries are waited for here. */
  readonly #retries: HeldRetries | undefined
  #concurrency: number
  #current: Intake | undefined
  /** The intake has less prefetch than it may, as older handlers are still running. */
  #reduced = false
  /** The next intake is to be of full size. */
  #regrowing = false
  /** Paused, and nothing is fetched any more. */
  #parked = false
  #state: ConsumerState = 'running'
  /** Aborts to end the current intake: paused, closing, or another concurrency. */
  #turn = stopController()
  readonly #wake = new Wake()
  #drained: (() => void)[] = []
  #pausing: (() => void)[] = []
  /** Intakes that are not closed yet. */
  readonly #intakes = new Set<Promise<void>>()
  readonly #gate = new Gate()
  #closing: Promise<void> | undefined
  readonly #loop: Promise<void>

  constructor(
    context: Context,
    resolved: ResolvedQueue<T>,
    handler: Handler<T, never>,
    options: ConsumeOptions<unknown>,
    closed: () => void,
  ) {
    const at = `consume of queue "${resolved.definition.name}"`
    const { name, concurrency, prefetch, handlerTimeoutMs } = resolveConsume(at, options)
    if (typeof handler !== 'function')
      throw new MsgloopError('INVALID', `${at}: the handler must be a function`)
    this.name = name
    this.queue = resolved.definition.name
    this.#context = context
    this.#closed = closed
    this.#resolved = resolved
    this.#concurrency = concurrency
    this.#prefetch = prefetch
    this.#turns = new Turns(context.clock, resolved.spec.order === 'key', () => this.#goOn())
    if (retriesHere(context, resolved)) this.#retries = new HeldRetries(context, this.queue, this.name)
    this.#trouble = new Trouble(`consumer ${this.name} of queue "${this.queue}"`, options.onError)
    this.#exactlyOnce = exactlyOnce(context, resolved, handler, options.inbox, this.#trouble)
    const inner = this.#exactlyOnce?.handler ?? (handler as Handler<T>)
    const middleware = [...resolved.middleware, ...(options.middleware ?? [])]
    this.#attempting = {
      consumer: this.name,
      run: compose(middleware, inner),
      hold: holding(middleware),
      waiting: new Set(),
      handlerTimeoutMs,
      ackFirst: resolved.definition.guarantee === 'at-most-once' ? this.#ackFirst : undefined,
      unbegun: (message) => this.#exactlyOnce?.unbegun(message) === true,
    }
    if (context.driver.capabilities.lease === 'connection')
      this.#check = new QuietCheck(context, resolved, this.#stop.signal)
    this.#settler = new Settler(context, resolved, this.name, this.#trouble)
    this.#loop = this.#cycle().finally(() => {
      for (const resolve of this.#pausing.splice(0)) resolve()
    })
  }

  get ready(): Promise<void> {
    return this.#gate.promise
  }

  get state(): ConsumerState {
    return this.#state
  }

  get running(): number {
    return this.#running.size
  }

  get concurrency(): number {
    return this.#concurrency
  }

  set concurrency(value: number) {
    const concurrency = positiveInteger(`consumer of queue "${this.queue}": "concurrency"`, value)
    if (concurrency === this.#concurrency) return
    this.#concurrency = concurrency
    this.#turn.abort()
  }

  async pause(): Promise<void> {
    if (this.#state === 'running') {
      this.#state = 'paused'
      this.#turn.abort()
    }
    if (this.#state === 'paused' && !this.#parked)
      await new Promise<void>((resolve) => this.#pausing.push(resolve))
  }

  resume(): void {
    if (this.#state !== 'paused') return
    this.#state = 'running'
    this.#wake.call()
  }

  close(options: { readonly timeout?: Duration } = {}): Promise<void> {
    this.#closing ??= this.#close(milliseconds('consumer.close: option "timeout"', options.timeout ?? '30s'))
    return this.#closing
  }

  async #close(timeoutMs: number): Promise<void> {
    this.#state = 'closing'
    this.#stop.abort()
    this.#turn.abort()
    this.#wake.call()
    let cancel: CancelTimer = () => {}
    const deadline = new Promise<void>((resolve) => {
      cancel = this.#context.clock.after(timeoutMs, () => {
        this.#abandon()
        resolve()
      })
    })
    await this.#loop
    await Promise.race([this.#idle(), deadline])
    cancel()
    await this.#idle()
    await Promise.all(this.#intakes)
    this.#state = 'closed'
    this.#closed()
    this.#gate.reject(new MsgloopError('CLOSED', `consumer of queue "${this.queue}" was closed`))
  }

  /** Past the deadline: handlers are told to stop, and what they hold is given back without them. */
  #abandon(): void {
    const reason = new MsgloopError(
      'CLOSED',
      `consumer of queue "${this.queue}" was closed before the handler ended`,
    )
    for (const held of [...this.#running]) {
      held.abort(reason)
      void this.#end(held, RELEASE, readBook(held.delivery))
    }
  }

  async #idle(): Promise<void> {
    if (this.#running.size > 0) await new Promise<void>((resolve) => this.#drained.push(resolve))
  }

  /** One intake after the other, for ever. */
  async #cycle(): Promise<void> {
    const { capabilities } = this.#context.driver
    const { definition, maxLeaseMs } = this.#resolved
    for (let tries = 1; !this.#stop.signal.aborted; tries++) {
      this.#turn = stopController()
      for (const resolve of this.#pausing.splice(0)) resolve()
      if (this.#state === 'paused') {
        this.#parked = true
        await this.#wake.wait(this.#turn.signal)
        this.#parked = false
        continue
      }
      // If any goes on, the next intake is reduced again, and under load there would be no end of them.
      if (this.#regrowing) await within(this.#context.clock, DRAIN_MS, this.#idle())
      this.#regrowing = false
      // Handlers of the intake before hold their places: fetching for them too would take from other consumers.
      const room = this.#concurrency + this.#prefetch - this.#running.size
      if (room <= 0) {
        await this.#wake.wait(this.#turn.signal)
        continue
      }
      const most = room + spare(this.#resolved.spec.order, this.#retries !== undefined, this.#concurrency)
      const reduced = this.#running.size > 0
      let intake: Intake | undefined
      try {
        await this.#exactlyOnce?.check()
        intake = await Intake.open(
          this.#context,
          this.#resolved,
          {
            prefetch: most,
            leaseMs: Math.min(definition.leaseMs, capabilities.limits.leaseMs),
            maxLeaseMs,
            consumer: this.name,
          },
          this.#stop.signal,
        )
        this.#gate.resolve()
        this.#current = intake
        this.#reduced = reduced
        this.#regrow()
        await this.#feed(intake, most, () => {
          tries = 0
        })
      } catch (error) {
        if (this.#stop.signal.aborted) return
        this.#trouble.report(error)
        if (error instanceof MsgloopError && !error.retryable) {
          this.#gate.reject(error)
          if (FATAL.has(error.code)) {
            this.#state = 'closed'
            return
          }
        }
        await sleep(
          this.#context.clock,
          reconnectDelayMs(Math.max(1, tries), this.#context.random),
          this.#stop.signal,
        )
      } finally {
        if (intake) await this.#giveUp(intake)
      }
    }
  }

  async #feed(intake: Intake, most: number, received: () => void): Promise<void> {
    const { receiveBatch } = this.#context.driver.capabilities.limits
    const check = this.#check
    const turn = this.#turn.signal
    while (!turn.aborted) {
      this.#startWaiting()
      const free = this.#concurrency + this.#prefetch - this.#running.size - this.#turns.ready
      const room = Math.min(free, most - intake.held.size, receiveBatch)
      if (room <= 0) {
        await this.#wake.wait(this.#turn.signal)
        continue
      }
      this.#turns.receiving()
      const batch = await intake.receive(room, check?.waitMs ?? POLL_MS, turn)
      if (batch.length > 0) {
        received()
        check?.delivered()
      } else if (check && !turn.aborted && (await check.quiet())) return
      if (this.#resolved.spec.order === 'key')
        for (const held of batch) held.onLost = () => this.#giveBack(this.#turns.breakOff(held))
      this.#giveBack(this.#turns.add(batch))
    }
  }

  /** Unstarted deliveries go back at once; running ones are settled through the intake they came by. */
  async #giveUp(intake: Intake): Promise<void> {
    this.#current = undefined
    const unbegun = [...this.#attempting.waiting].filter((held) => held.intake === intake)
    for (const held of unbegun) held.abort(new MsgloopError('CLOSED', 'it is given back before it began'))
    await Promise.all([
      ...unbegun.map((held) => this.#end(held, RELEASE, readBook(held.delivery))),
      ...this.#turns.drain().map((held) => this.#release(held)),
    ])
    const closed = intake.retire().finally(() => this.#intakes.delete(closed))
    this.#intakes.add(closed)
    await intake.stop()
  }

  /**
   * Handlers of earlier intakes hold places until they end, also those whose lease is lost: only then is
   * there room for an intake of full size.
   */
  #regrow(): void {
    if (!this.#reduced || !this.#current) return
    for (const { intake } of this.#running) if (intake !== this.#current) return
    this.#reduced = false
    this.#regrowing = true
    this.#turn.abort()
  }

  /** The loop may be waiting for the broker just now: whoever ends a handler fills the slot. */
  #startWaiting(): void {
    while (!this.#turn.signal.aborted && this.#running.size < this.#concurrency) {
      const held = this.#turns.next()
      if (!held) return
      if (!held.lost) this.#start(held)
      else this.#over(held, false)
    }
  }

  #start(held: Held): void {
    this.#running.add(held)
    // Nothing in there should throw; if it does, the message goes back and the slot is free.
    this.#process(held).catch((error) => {
      this.#trouble.report(error)
      void this.#end(held, RELEASE, readBook(held.delivery))
    })
  }

  async #process(held: Held): Promise<void> {
    const sent = this.#context.attempts.read(this.queue, held.delivery)
    const again = this.#retries?.read(held, sent)
    const book = again?.book ?? sent
    if (again && again.leftMs > 0) return this.#wait(held, again.leftMs)
    const { judged, durationMs } = await attempt(this.#context, this.#resolved, this.#attempting, held, book)
    if (!this.#running.has(held)) return
    if (this.#retries && judged.verdict.kind === 'retry') {
      const delayMs = this.#retries.begin(held, judged, book, durationMs)
      if (held.intake === this.#current && !held.lost && !this.#turn.signal.aborted)
        return this.#wait(held, delayMs)
      return await this.#end(held, RELEASE, book)
    }
    await this.#end(held, judged, book, durationMs)
  }

  #wait(held: Held, ms: number): void {
    this.#running.delete(held)
    this.#turns.wait(held, ms)
    this.#goOn()
  }

  async #end(held: Held, judged: Judgement, book: Book, durationMs?: number): Promise<void> {
    // Whoever comes first decides: the handler's end, or the deadline of close.
    if (!this.#running.has(held) || this.#ending.has(held)) return
    this.#ending.add(held)
    const fate = this.#exactlyOnce ? await this.#exactlyOnce.judge(held, judged) : judged
    if (held.ackedFirst) await this.#context.answers.settled(this.#resolved, held.delivery.message, fate)
    const gone = held.ackedFirst ?? (await this.#settler.settle(held, fate, book, durationMs))
    this.#ending.delete(held)
    this.#running.delete(held)
    if (gone) this.#retries?.forget(held)
    // Those behind one that was lost went back then: what came since comes after it.
    this.#over(held, gone || held.lost !== undefined)
    this.#goOn()
  }

  readonly #ackFirst = async (held: Held, book: Book): Promise<boolean> => {
    held.ackedFirst = await this.#settler.settle(held, acked(UNANSWERED), book)
    return held.ackedFirst
  }

  /** It has left our hands. If it is not `gone` it comes again, and those behind it go back to come after it. */
  #over(held: Held, gone: boolean): void {
    if (!gone) this.#giveBack(this.#turns.breakOff(held))
    this.#turns.pass(held)
  }

  #goOn(): void {
    this.#regrow()
    this.#startWaiting()
    this.#wake.call()
    if (this.#running.size === 0) for (const resolve of this.#drained.splice(0)) resolve()
  }

  #giveBack(deliveries: readonly Held[]): void {
    for (const held of deliveries) void this.#release(held).then(() => this.#wake.call())
  }

  async #release(held: Held): Promise<void> {
    await this.#settler.settle(held, RELEASE, readBook(held.delivery))
  }
}
