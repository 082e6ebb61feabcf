import { hostname } from 'node:os'
import { reconnectDelayMs } from './backoff.js'
import type { Book } from './book.js'
import { readBook } from './book.js'
import type { CancelTimer } from './clock.js'
import { sleep, within } from './clock.js'
import type { ConsumeOptions, Consumer, ConsumerState, Handler } from './consumer.js'
import type { Context } from './context.js'
import { decodeFor } from './decode.js'
import type { Duration } from './duration.js'
import { milliseconds } from './duration.js'
import { MsgloopError } from './error.js'
import type { ExactlyOnce } from './exactly-once.js'
import { exactlyOnce } from './exactly-once.js'
import { flow } from './flow.js'
import type { Held } from './held.js'
import { Incoming } from './incoming.js'
import { Intake } from './intake.js'
import type { Judgement } from './judge.js'
import { ACK, beforeUserCode, deadLetter, judgeFailure, RELEASE } from './judge.js'
import type { Message } from './message.js'
import { onlyKnown, positiveInteger, wholeNumber } from './options.js'
import { QuietCheck } from './quiet-check.js'
import type { ResolvedQueue } from './resolved-queue.js'
import { compose, runHandler } from './run-handler.js'
import { Settler } from './settler.js'
import { publishStarted } from './steps.js'
import { stopController } from './stop-signal.js'
import { Trouble } from './trouble.js'

/** How long one `receive` waits: the longest SQS allows; shorter ones only cost. */
const POLL_MS = 20_000
/** How long an intake of full size waits for handlers of the one before. */
const DRAIN_MS = 1_000
/** Errors that time alone will not mend: the consumer ends. */
const FATAL = new Set(['DRIFT', 'UNSUPPORTED', 'INVALID', 'CLOSED'])
const KNOWN: readonly (keyof ConsumeOptions)[] = [
  'concurrency',
  'prefetch',
  'handlerTimeout',
  'middleware',
  'name',
  'onError',
  'inbox',
]
let made = 0

interface Gate {
  readonly resolve: () => void
  readonly reject: (error: MsgloopError) => void
}

/** Fetches, feeds the handler, settles; replaces its intake whenever it must. */
export class ConsumerLoop<T> implements Consumer {
  readonly name: string
  readonly queue: string
  readonly ready: Promise<void>
  readonly #context: Context
  readonly #resolved: ResolvedQueue<T>
  readonly #run: (message: Message<T>) => unknown
  readonly #settler: Settler
  readonly #trouble: Trouble
  readonly #exactlyOnce: ExactlyOnce<T> | undefined
  readonly #prefetch: number
  readonly #closed: () => void
  readonly #handlerTimeoutMs: number | undefined
  readonly #stop = stopController()
  /** Where the broker pushes. */
  readonly #check: QuietCheck | undefined
  readonly #running = new Set<Held>()
  /** Running no more, and being settled. */
  readonly #ending = new Set<Held>()
  /** Received and waiting for a slot; empty unless `prefetch` is more than 0. */
  #waiting: Held[] = []
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
  #wake: (() => void) | undefined
  #drained: (() => void)[] = []
  #pausing: (() => void)[] = []
  /** Intakes that are not closed yet. */
  readonly #intakes = new Set<Promise<void>>()
  readonly #gate: Gate
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
    onlyKnown(at, options, KNOWN)
    if (typeof handler !== 'function')
      throw new MsgloopError('INVALID', `${at}: the handler must be a function`)
    this.name = options.name ?? `${hostname()}:${process.pid}:${++made}`
    this.queue = resolved.definition.name
    this.#context = context
    this.#closed = closed
    this.#resolved = resolved
    this.#concurrency = positiveInteger(`${at}: option "concurrency"`, options.concurrency ?? 16)
    this.#prefetch = wholeNumber(`${at}: option "prefetch"`, options.prefetch ?? 0)
    this.#handlerTimeoutMs =
      options.handlerTimeout === undefined
        ? undefined
        : milliseconds(`${at}: option "handlerTimeout"`, options.handlerTimeout)
    this.#trouble = new Trouble(`consumer ${this.name} of queue "${this.queue}"`, options.onError)
    this.#exactlyOnce = exactlyOnce(context, resolved, handler, options.inbox, this.#trouble)
    this.#run = compose(
      [...resolved.middleware, ...(options.middleware ?? [])],
      this.#exactlyOnce?.handler ?? (handler as Handler<T>),
    )
    if (context.driver.capabilities.lease === 'connection')
      this.#check = new QuietCheck(context, resolved, this.#stop.signal)
    this.#settler = new Settler(context, resolved, this.name, this.#trouble)
    let gate: Gate = { resolve() {}, reject() {} }
    this.ready = new Promise((resolve, reject) => {
      gate = { resolve, reject }
    })
    this.ready.catch(() => {})
    this.#gate = gate
    this.#loop = this.#turns().finally(() => {
      for (const resolve of this.#pausing.splice(0)) resolve()
    })
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
    this.#wake?.()
  }

  close(options: { readonly timeout?: Duration } = {}): Promise<void> {
    this.#closing ??= this.#close(milliseconds('consumer.close: option "timeout"', options.timeout ?? '30s'))
    return this.#closing
  }

  async #close(timeoutMs: number): Promise<void> {
    this.#state = 'closing'
    this.#stop.abort()
    this.#turn.abort()
    this.#wake?.()
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
  async #turns(): Promise<void> {
    const { capabilities } = this.#context.driver
    const { definition, maxLeaseMs } = this.#resolved
    for (let attempt = 1; !this.#stop.signal.aborted; attempt++) {
      this.#turn = stopController()
      for (const resolve of this.#pausing.splice(0)) resolve()
      if (this.#state === 'paused') {
        this.#parked = true
        await this.#woken()
        this.#parked = false
        continue
      }
      // If any goes on, the next intake is reduced again, and under load there would be no end of them.
      if (this.#regrowing) await within(this.#context.clock, DRAIN_MS, this.#idle())
      this.#regrowing = false
      // Handlers of the intake before hold their places: fetching for them too would take from other consumers.
      const room = this.#concurrency + this.#prefetch - this.#running.size
      if (room <= 0) {
        await this.#woken()
        continue
      }
      const reduced = this.#running.size > 0
      let intake: Intake | undefined
      try {
        await this.#exactlyOnce?.check()
        intake = await Intake.open(
          this.#context,
          this.#resolved,
          {
            prefetch: room,
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
        await this.#feed(intake, () => {
          attempt = 0
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
          reconnectDelayMs(Math.max(1, attempt), this.#context.random),
          this.#stop.signal,
        )
      } finally {
        if (intake) await this.#giveUp(intake)
      }
    }
  }

  async #feed(intake: Intake, received: () => void): Promise<void> {
    const { receiveBatch } = this.#context.driver.capabilities.limits
    const check = this.#check
    const turn = this.#turn.signal
    while (!turn.aborted) {
      this.#startWaiting()
      const room = this.#concurrency + this.#prefetch - this.#running.size - this.#waiting.length
      if (room <= 0) {
        await this.#woken()
        continue
      }
      const batch = await intake.receive(Math.min(room, receiveBatch), check?.waitMs ?? POLL_MS, turn)
      if (batch.length > 0) {
        received()
        check?.delivered()
      } else if (check && !turn.aborted && (await check.quiet())) return
      for (const held of batch)
        if (!turn.aborted && this.#running.size < this.#concurrency) this.#start(held)
        else this.#waiting.push(held)
    }
  }

  /** Unstarted deliveries go back at once; running ones are settled through the intake they came by. */
  async #giveUp(intake: Intake): Promise<void> {
    const unstarted = this.#waiting
    this.#waiting = []
    await Promise.all(unstarted.map((held) => this.#settler.settle(held, RELEASE, readBook(held.delivery))))
    const closed = intake.retire().finally(() => this.#intakes.delete(closed))
    this.#intakes.add(closed)
    await intake.stop()
  }

  /**
   * Handlers of earlier intakes hold places until they end, also those whose lease is lost: only then is
   * there room for an intake of full size.
   */
  #regrow(): void {
    if (!this.#reduced) return
    for (const { intake } of this.#running) if (intake !== this.#current) return
    this.#reduced = false
    this.#regrowing = true
    this.#turn.abort()
  }

  /** The loop may be waiting for the broker just now: whoever ends a handler fills the slot. */
  #startWaiting(): void {
    while (!this.#turn.signal.aborted && this.#running.size < this.#concurrency) {
      const held = this.#waiting.shift()
      if (!held) return
      this.#start(held)
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
    const book = this.#context.attempts.read(this.queue, held.delivery)
    const early = beforeUserCode(this.#context, this.#resolved, held, book)
    if (early) return await this.#end(held, early, book)
    let decoded = decodeFor(this.#resolved, held.delivery.message)
    if (decoded instanceof Promise) decoded = await decoded
    if (!decoded.ok) {
      const judged = deadLetter(this.#context, this.#resolved.definition, book, decoded.reason, decoded)
      return await this.#end(held, judged, book)
    }
    const { clock } = this.#context
    const at = clock.now()
    const begun = clock.elapsed()
    if (flow.hasSubscribers)
      publishStarted(this.#context, held, { queue: this.queue, consumer: this.name, book })
    const message = new Incoming(held, book, decoded.body, this.queue)
    const outcome = await runHandler(this.#run, message, held, clock, this.#handlerTimeoutMs)
    const durationMs = Math.floor(clock.elapsed() - begun)
    if (!this.#running.has(held)) return
    if (this.#exactlyOnce?.unbegun(message)) return await this.#end(held, RELEASE, book)
    const judged = outcome.ok
      ? ACK
      : judgeFailure(this.#context, this.#resolved.definition, this.#resolved.spec.role, book, {
          error: outcome.error,
          at,
          durationMs,
          consumer: this.name,
        })
    await this.#end(held, judged, book, durationMs)
  }

  async #end(held: Held, judged: Judgement, book: Book, durationMs?: number): Promise<void> {
    // Whoever comes first decides: the handler's end, or the deadline of close.
    if (!this.#running.has(held) || this.#ending.has(held)) return
    this.#ending.add(held)
    const fate = this.#exactlyOnce ? await this.#exactlyOnce.judge(held, judged) : judged
    await this.#settler.settle(held, fate, book, durationMs)
    this.#ending.delete(held)
    this.#running.delete(held)
    this.#regrow()
    this.#startWaiting()
    this.#wake?.()
    if (this.#running.size === 0) for (const resolve of this.#drained.splice(0)) resolve()
  }

  #woken(): Promise<void> {
    return new Promise((resolve) => {
      const turn = this.#turn.signal
      const done = (): void => {
        this.#wake = undefined
        turn.removeEventListener('abort', done)
        resolve()
      }
      this.#wake = done
      turn.addEventListener('abort', done, { once: true })
    })
  }
}
