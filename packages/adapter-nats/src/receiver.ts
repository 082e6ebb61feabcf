import {
  briefly,
  type Delivery,
  DriverError,
  type Failure,
  PushBuffer,
  type QueueSpec,
  type Receiver,
  type ReceiverOptions,
  type Settlement,
  sleep,
  systemClock,
} from '@msgloop/core/driver'
import type { Msg } from '@nats-io/transport-node'
import type { Connection } from './connection.js'
import { buried, type Copy, givenBack, movedTo } from './copies.js'
import { GRACE_MS, Intake, type Pull, SILENCE_MS } from './intake.js'
import { ACK, ask, IN_PROGRESS, leaseLost, nak, type Order, replace, settle } from './orders.js'
import { ServerClock } from './server-clock.js'
import type { Session } from './session.js'
import { Token } from './token.js'
import { CONSUMER, streamOf, subjectOf } from './topology.js'
import { decode, originOf } from './wire.js'

/** Later than this before it is due, a message is held back again; what we know of the server's clock is as exact. */
const EARLY_MS = 50

/** Part of a lease that may be over when its message is seen. */
const MARGIN = 0.1
/** The rest of what a request brings comes within this, if it does not come at once. */
const LINGER_MS = 5
/** Between two requests that the server ends at once. */
const SOON_MS = 10

/** What a timer can hold. */
const LONGEST_TIMEOUT_MS = 2_147_483_647

/**
 * Pulls from the consumer of a queue. Its deliveries outlive its connection: they are settled over the
 * next one, while their leases last.
 */
export class NatsReceiver implements Receiver<Token> {
  readonly #connection: Connection
  readonly #prefix: string
  readonly #spec: QueueSpec
  readonly #options: ReceiverOptions
  /** The lease that the server begins with. */
  readonly #ackWaitMs: number
  readonly #session: Session
  readonly #clock: ServerClock
  readonly #intake: Intake
  /** Messages, and `undefined` to wake who waits for them. */
  readonly #inbox = new PushBuffer<Token | undefined>(systemClock)
  /** Handed over by the server, not held back, and not settled. */
  readonly #ours = new Set<Token>()
  /** A receive waits for room. */
  #starved = false
  readonly #working = new Set<Promise<void>>()
  #stopping: Promise<void> | undefined
  #closing: Promise<void> | undefined
  #closed = false

  static async open(
    connection: Connection,
    prefix: string,
    spec: QueueSpec,
    options: ReceiverOptions,
    signal: AbortSignal,
  ): Promise<NatsReceiver> {
    if (!(options.prefetch >= 1 && options.leaseMs > 0))
      throw new DriverError('INVALID', `nats: queue "${spec.name}": prefetch and lease must be at least 1`)
    const session = await connection.open(signal)
    const stream = streamOf(prefix, spec.name)
    const { config } = await session.api((manager) => manager.consumers.info(stream, CONSUMER), signal)
    if (config.deliver_subject)
      throw new DriverError(
        'DRIFT',
        `nats: the consumer of queue "${spec.name}" is pushed to, not pulled from`,
      )
    return new NatsReceiver(connection, session, prefix, spec, options, (config.ack_wait ?? 0) / 1_000_000)
  }

  private constructor(
    connection: Connection,
    session: Session,
    prefix: string,
    spec: QueueSpec,
    options: ReceiverOptions,
    ackWaitMs: number,
  ) {
    this.#connection = connection
    this.#session = session
    this.#prefix = prefix
    this.#spec = spec
    this.#options = options
    this.#ackWaitMs = ackWaitMs
    const stream = streamOf(prefix, spec.name)
    this.#clock = new ServerClock(async () => {
      const info = await session.api((manager) => manager.consumers.info(stream, CONSUMER))
      // Servers before 2.10 do not tell the time, but when they last handed over a message: just now.
      return String(info.ts ?? info.delivered.last_active)
    })
    this.#intake = new Intake({
      session,
      stream,
      queue: spec.name,
      inboxPrefix: connection.inboxPrefix,
      onMessage: (message, ackSubject, askedAt) => this.#arrived(message, ackSubject, askedAt),
      onOver: () => this.#inbox.push(undefined),
      onEnd: (error) => this.#inbox.end(error),
    })
  }

  async receive(max: number, waitMs: number, signal: AbortSignal): Promise<readonly Delivery<Token>[]> {
    if (this.#stopping) throw new DriverError('CLOSED', 'nats: the receiver was stopped')
    const until = systemClock.elapsed() + waitMs
    let pull: Pull | undefined
    for (let tries = 0; ; tries++) {
      const ready = this.#hand(await this.#inbox.take(max, 0, signal))
      if (ready.length > 0) return ready
      if (this.#intake.withdrawing) await this.#intake.withdrawing
      const left = until - systemClock.elapsed()
      // Without a wait it ends when the server has nothing more; all it had may have been held back.
      const more = tries === 0 || left > 0 || (waitMs === 0 && pull?.left === 0)
      if (!more || signal.aborted || this.#stopping) break
      pull = this.#intake.current ?? this.#pull(max, left)
      if (!pull && waitMs === 0) break
      // The server ends a request in its time, and is heard of before that.
      const patience = Math.min(left + GRACE_MS, SILENCE_MS)
      const found = this.#hand(await this.#inbox.take(max, patience, signal))
      if (found.length > 0) return await this.#withRest(found, max, pull, signal)
      if (pull) await this.#intake.check(pull)
      // Ended at once, as when others wait for what is on its way: not asked again in a hot loop.
      if (pull?.over && pull.left > 0 && systemClock.elapsed() - pull.askedAt < SOON_MS)
        await sleep(systemClock, SOON_MS, signal)
    }
    if (signal.aborted) void this.#intake.withdraw()
    return []
  }

  /** What comes with the first messages is not left behind. */
  async #withRest(
    found: Delivery<Token>[],
    max: number,
    pull: Pull | undefined,
    signal: AbortSignal,
  ): Promise<readonly Delivery<Token>[]> {
    const until = systemClock.elapsed() + LINGER_MS
    while (found.length < max && pull && !pull.over) {
      const left = until - systemClock.elapsed()
      if (left <= 0) break
      // Should the intake have ended meanwhile, the next receive tells.
      const rest = await this.#inbox.take(max - found.length, left, signal).catch(() => [])
      if (rest.length === 0) break
      found.push(...this.#hand(rest))
    }
    return found
  }

  async settle(batch: readonly Settlement<Token>[], signal?: AbortSignal): Promise<readonly Failure[]> {
    const failures: Failure[] = []
    const orders: Order[] = []
    const copies: (Copy & { readonly index: number })[] = []
    for (const [index, { token, verdict }] of batch.entries()) {
      if (token.settled) continue
      if (!this.#isOurs(token)) failures.push({ index, error: leaseLost() })
      else if (verdict.kind === 'ack') orders.push({ index, token, payload: ACK })
      else if (verdict.kind === 'retry') orders.push({ index, token, payload: nak(verdict.delayMs) })
      else if (verdict.kind === 'move')
        copies.push({ index, ...movedTo(token, subjectOf(this.#prefix, verdict.to), verdict.headers) })
      // Attempts mean nothing in a dead-letter queue, and its order is kept.
      else if (this.#spec.role === 'dead-letter') orders.push({ index, token, payload: nak(0) })
      else copies.push({ index, ...givenBack(token, this.#subject, true) })
    }
    if (orders.length + copies.length === 0) return failures
    const session = this.#connection.current ?? (await this.#connection.open(signal))
    const [told, replaced] = await Promise.all([
      settle(session, orders, signal),
      replace(session, copies, signal),
    ])
    this.#free(batch.map(({ token }) => token))
    return [...failures, ...told, ...replaced]
  }

  async extend(tokens: readonly Token[], leaseMs: number): Promise<readonly Failure[]> {
    const failures: Failure[] = []
    const orders: Order[] = []
    const payload = leaseMs === this.#ackWaitMs ? IN_PROGRESS : nak(leaseMs)
    for (const [index, token] of tokens.entries())
      if (token.settled || !this.#isOurs(token)) failures.push({ index, error: leaseLost() })
      else orders.push({ index, token, payload })
    if (orders.length === 0) return failures
    const from = systemClock.elapsed()
    // Past the end of the leases there is nothing to be renewed.
    const last = Math.max(...orders.map(({ token }) => token.until)) - from
    const signal = AbortSignal.timeout(Math.min(Math.ceil(last), LONGEST_TIMEOUT_MS))
    const session = this.#connection.current ?? (await this.#connection.open(signal))
    const failed = await ask(session, orders, signal)
    const indexes = new Set(failed.map(({ index }) => index))
    for (const { index, token } of orders) if (!indexes.has(index)) token.until = from + leaseMs
    return [...failures, ...failed]
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  get #subject(): string {
    return subjectOf(this.#prefix, this.#spec.name)
  }

  /** Never asks for more than there is room for. What was lost holds no place. */
  #pull(max: number, waitMs: number): Pull | undefined {
    const now = systemClock.elapsed()
    if (this.#ours.size + max > this.#options.prefetch)
      for (const token of this.#ours) if (token.until <= now) this.#ours.delete(token)
    const room = Math.min(max, this.#options.prefetch - this.#ours.size)
    this.#starved = room <= 0
    return room > 0 ? this.#intake.pull(room, Math.max(0, waitMs)) : undefined
  }

  /** There is room where deliveries were settled. */
  #free(tokens: readonly Token[]): void {
    for (const token of tokens) if (token.settled) this.#ours.delete(token)
    if (this.#starved) this.#inbox.push(undefined)
    this.#starved = false
  }

  /** The server's lease began before we saw the message, but after it was asked for. */
  #arrived(native: Msg, ackSubject: string, askedAt: number): void {
    const origin = originOf(ackSubject)
    const leaseMs = Math.min(this.#options.leaseMs, this.#ackWaitMs)
    const until = Math.max(askedAt, systemClock.elapsed() - leaseMs * MARGIN) + leaseMs
    const token = new Token(this, native, ackSubject, origin, decode(native, origin), until)
    const heldBack = token.decoded.delayMs > 0 && origin.handed === 1
    if (!heldBack) this.#ours.add(token)
    if (token.decoded.delayMs > 0) this.#also(this.#whenDue(token))
    else this.#offer(token)
  }

  /**
   * Holds a delayed message back at its first hand-over, always, so that the counts are exact. Should it come
   * again too early, as it does by up to a second when the server was restarted, a copy waits for the rest.
   */
  async #whenDue(token: Token): Promise<void> {
    const { earliest, latest } = await this.#clock.now()
    const due = token.origin.storedAt + token.decoded.delayMs
    if (token.origin.handed === 1) this.#session.nc.publish(token.ackSubject, nak(due - earliest))
    else if (due - latest > EARLY_MS)
      await this.#instead(token, givenBack(token, this.#subject, false, due - earliest))
    else this.#offer(token)
  }

  #offer(token: Token): void {
    const { deliveryLimit, deadLetter, name } = this.#spec
    if (deadLetter !== undefined && token.deliveries > (deliveryLimit ?? Number.POSITIVE_INFINITY)) {
      // Not stored, it comes again when its lease is over.
      this.#also(this.#instead(token, buried(token, subjectOf(this.#prefix, deadLetter), name)))
    } else this.#inbox.push(token)
  }

  #hand(tokens: readonly (Token | undefined)[]): Delivery<Token>[] {
    if (tokens.length === 0) return []
    const { leaseMs } = this.#options
    const now = systemClock.elapsed()
    const live = tokens.filter(isToken).filter((token) => token.until > now)
    const stale = live.filter((token) => token.until - now < leaseMs * 0.75)
    if (stale.length > 0 || leaseMs !== this.#ackWaitMs)
      void this.extend(leaseMs === this.#ackWaitMs ? stale : live, leaseMs).catch(() => {})
    return live.map((token) => ({
      token,
      message: token.decoded.message,
      deliveries: token.deliveries,
      attempt: token.attempt,
      ...(token.decoded.nativeDeath && { nativeDeath: token.decoded.nativeDeath }),
      native: token.native,
    }))
  }

  #isOurs(token: Token): boolean {
    return token.owner === this && !this.#closed && token.until > systemClock.elapsed()
  }

  async #instead(token: Token, copy: Copy): Promise<void> {
    await replace(this.#session, [{ index: 0, ...copy }])
    this.#free([token])
  }

  /** Work that nobody waits for, but closing does. */
  #also(work: Promise<unknown>): void {
    const over = (): void => void this.#working.delete(done)
    const done: Promise<void> = work.then(over, over)
    this.#working.add(done)
  }

  async #stop(): Promise<void> {
    await this.#intake.withdraw()
    await briefly(Promise.all(this.#working))
    await this.#giveBack(this.#inbox.drain())
  }

  /** What the core has not seen goes back as if it had not been handed over. */
  async #giveBack(tokens: readonly (Token | undefined)[]): Promise<void> {
    const live = tokens.filter(isToken).filter((token) => this.#isOurs(token))
    if (live.length === 0 || this.#session.lost) return
    await briefly(
      this.#spec.role === 'dead-letter'
        ? settle(this.#session, live.map(returned))
        : replace(
            this.#session,
            live.map((token, index) => ({ index, ...givenBack(token, this.#subject, false) })),
          ),
    )
  }

  async #close(): Promise<void> {
    await this.stop()
    const left = [...this.#ours].filter((token) => this.#isOurs(token))
    if (left.length > 0)
      await briefly(this.#connection.open().then((session) => ask(session, left.map(returned))))
    this.#closed = true
    this.#ours.clear()
    this.#intake.close()
  }
}

const returned = (token: Token, index: number): Order => ({ index, token, payload: nak(0) })

const isToken = (token: Token | undefined): token is Token => token !== undefined
