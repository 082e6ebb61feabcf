import {
  briefly,
  type Delivery,
  DriverError,
  type Failure,
  PushBuffer,
  type Receiver,
  type ReceiverOptions,
  type Settlement,
  type Source,
  sleep,
  systemClock,
} from '@msgloop/core/driver'
import type { Connection } from './connection.js'
import { buried, type Copy, givenBack, movedTo } from './copies.js'
import { FanIn, type Sweep } from './fan-in.js'
import { Feeder } from './feeder.js'
import { type Arrival, GRACE_MS, SILENCE_MS } from './intake.js'
import { subjectOf } from './names.js'
import { ACK, ask, IN_PROGRESS, leaseLost, nak, type Order, replace, settle } from './orders.js'
import { type Outlet, outletsOf, subjectFrom } from './outlets.js'
import { recall, release } from './releases.js'
import { EARLY_MS, ServerClock } from './server-clock.js'
import type { Session } from './session.js'
import { Token } from './token.js'
import { shownName } from './topology.js'
import { decode } from './wire.js'

/** Part of a lease that may be over when its message is seen. */
const MARGIN = 0.1
/** The rest of what a request brings comes within this, if it does not come at once. */
const LINGER_MS = 5
/** Between two requests that the server ends at once. */
const SOON_MS = 10

/** What a timer can hold. */
const LONGEST_TIMEOUT_MS = 2_147_483_647

/**
 * Pulls from the consumers of a queue or subscription. Its deliveries outlive its connection: they are settled over
 * the next one, while their leases last.
 */
export class NatsReceiver implements Receiver<Token> {
  readonly #connection: Connection
  readonly #prefix: string
  readonly #spec: Source
  readonly #options: ReceiverOptions
  /** The lease that the server begins with. */
  readonly #ackWaitMs: number
  readonly #session: Session
  readonly #clock: ServerClock
  readonly #fanIn: FanIn
  readonly #feeder: Feeder | undefined
  /** Messages, and `undefined` to wake who waits for them. */
  readonly #inbox = new PushBuffer<Token | undefined>(systemClock)
  /** Handed over by the server, not held back, and not settled. */
  readonly #ours = new Set<Token>()
  /** Handed over beyond the room there was, and on its way back. */
  readonly #surplus = new Set<Token>()
  /** A receive waits for room. */
  #starved = false
  readonly #working = new Set<Promise<void>>()
  #stopping: Promise<void> | undefined
  #closing: Promise<void> | undefined
  #closed = false

  static async open(
    connection: Connection,
    prefix: string,
    spec: Source,
    options: ReceiverOptions,
    signal: AbortSignal,
  ): Promise<NatsReceiver> {
    if (!(options.prefetch >= 1 && options.leaseMs > 0))
      throw new DriverError('INVALID', `nats: ${shownName(spec)}: prefetch and lease must be at least 1`)
    const session = await connection.open(signal)
    const outlets = outletsOf(prefix, spec)
    const configs = await Promise.all(
      outlets.map(async ({ stream, consumer }) => {
        const { config } = await session.api(({ consumers }) => consumers.info(stream, consumer), signal)
        if (!config.deliver_subject) return config
        const what = `the consumer of ${shownName(spec)} is pushed to, not pulled from`
        throw new DriverError('DRIFT', `nats: ${what}`)
      }),
    )
    const ackWaitMs = Math.min(...configs.map(({ ack_wait = 0 }) => ack_wait / 1_000_000))
    return new NatsReceiver(connection, session, prefix, spec, options, outlets, ackWaitMs)
  }

  private constructor(
    connection: Connection,
    session: Session,
    prefix: string,
    spec: Source,
    options: ReceiverOptions,
    outlets: readonly Outlet[],
    ackWaitMs: number,
  ) {
    this.#connection = connection
    this.#session = session
    this.#prefix = prefix
    this.#spec = spec
    this.#options = options
    this.#ackWaitMs = ackWaitMs
    const handing = outlets.filter(({ feeds }) => !feeds)
    const feeding = outlets.filter(({ feeds }) => feeds)
    // What is delayed here lies in the stream of the first.
    this.#clock = ServerClock.of(session, handing[0] as Outlet)
    const shared = {
      session,
      source: shownName(spec),
      inboxPrefix: connection.inboxPrefix,
      onEnd: (error: DriverError) => this.#inbox.end(error),
    }
    this.#fanIn = new FanIn({
      ...shared,
      outlets: handing,
      isHeld: (outlet) => this.#isHeld(outlet),
      onMessage: (arrival) => this.#arrived(arrival),
      onOver: () => this.#inbox.push(undefined),
    })
    if (feeding.length > 0)
      this.#feeder = new Feeder({ ...shared, outlets: feeding, prefix, spec, ackWaitMs })
  }

  async receive(max: number, waitMs: number, signal: AbortSignal): Promise<readonly Delivery<Token>[]> {
    if (this.#stopping) throw new DriverError('CLOSED', 'nats: the receiver was stopped')
    const until = systemClock.elapsed() + waitMs
    let pull: Sweep | undefined
    for (let tries = 0; ; tries++) {
      const ready = this.#hand(await this.#inbox.take(max, 0, signal))
      if (ready.length > 0) return ready
      if (this.#fanIn.withdrawing) await this.#fanIn.withdrawing
      const left = until - systemClock.elapsed()
      // Without a wait it ends when the server has nothing more; all it had may have been held back.
      const more = tries === 0 || left > 0 || (waitMs === 0 && pull?.left === 0)
      if (!more || signal.aborted || this.#stopping) break
      pull = this.#pull(max, left)
      if (!pull && waitMs === 0) break
      // The server ends a request in its time, and is heard of before that.
      const patience = Math.min(left + GRACE_MS, SILENCE_MS)
      const found = this.#hand(await this.#inbox.take(max, patience, signal))
      if (found.length > 0) return await this.#withRest(found, max, pull, signal)
      await Promise.all([pull && this.#fanIn.check(pull), this.#feeder?.check()])
      // Ended at once, as when others wait for what is on its way: not asked again in a hot loop.
      if (pull?.over && pull.left > 0 && systemClock.elapsed() - pull.askedAt < SOON_MS)
        await sleep(systemClock, SOON_MS, signal)
    }
    if (signal.aborted) this.#fanIn.rest()
    return []
  }

  /** What comes with the first messages is not left behind. */
  async #withRest(
    found: Delivery<Token>[],
    max: number,
    pull: Sweep | undefined,
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
    const releases: { index: number; token: Token; seen: boolean }[] = []
    for (const [index, { token, verdict }] of batch.entries()) {
      if (token.settled) continue
      if (!this.#isOurs(token)) failures.push({ index, error: leaseLost() })
      else if (verdict.kind === 'ack') orders.push({ index, token, payload: ACK })
      else if (verdict.kind === 'retry') orders.push({ index, token, payload: nak(verdict.delayMs) })
      else if (verdict.kind === 'move')
        copies.push({ index, ...movedTo(token, subjectOf(this.#prefix, verdict.to), verdict.headers) })
      // Attempts mean nothing in a dead-letter queue, and its order is kept.
      else if (this.#spec.role === 'dead-letter') orders.push({ index, token, payload: nak(0) })
      else if (token.outlet.inTurn) releases.push({ index, token, seen: true })
      else copies.push({ index, ...givenBack(token, this.#subject, true) })
    }
    if (orders.length + copies.length + releases.length === 0) return failures
    const session = this.#connection.current ?? (await this.#connection.open(signal))
    const failed = await Promise.all([
      settle(session, orders, signal),
      replace(session, copies, signal),
      release(session, this.#prefix, this.#spec, releases, signal),
    ])
    this.#free(batch.map(({ token }) => token))
    return [...failures, ...failed.flat()]
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
  #pull(max: number, waitMs: number): Sweep | undefined {
    const room = this.#roomFor(max)
    this.#starved = room <= 0
    return room > 0 ? this.#fanIn.pull(room, Math.max(0, waitMs)) : undefined
  }

  #roomFor(max: number): number {
    const { prefetch } = this.#options
    const now = systemClock.elapsed()
    if (this.#ours.size + max > prefetch)
      for (const token of this.#ours) if (token.until <= now) this.#ours.delete(token)
    return Math.min(max, prefetch - this.#ours.size)
  }

  /** There is room where deliveries were settled, and what comes after them in their turn. */
  #free(tokens: readonly Token[]): void {
    let turns = false
    for (const token of tokens) {
      if (!token.settled) continue
      this.#ours.delete(token)
      this.#surplus.delete(token)
      turns ||= token.outlet.inTurn
    }
    if (this.#starved || turns) this.#inbox.push(undefined)
    this.#starved = false
  }

  #isHeld(outlet: Outlet): boolean {
    const holds = (token: Token): boolean => token.outlet === outlet && this.#isOurs(token)
    return [...this.#ours, ...this.#surplus].some(holds)
  }

  /** The server's lease began before we saw the message, but after it was asked for. */
  #arrived(arrival: Arrival): void {
    const { native, outlet, origin, askedAt } = arrival
    const leaseMs = Math.min(this.#options.leaseMs, this.#ackWaitMs)
    const until = Math.max(askedAt, systemClock.elapsed() - leaseMs * MARGIN) + leaseMs
    const subject = subjectFrom(outlet, native.subject)
    const token = new Token(this, arrival, decode(native, origin, subject), until)
    if (subject !== undefined && !outlet.topic?.wants(subject)) {
      this.#also(settle(this.#session, [{ index: 0, token, payload: ACK }]))
      return
    }
    const heldBack = token.decoded.delayMs > 0 && origin.handed === 1
    if (!heldBack) (this.#roomFor(1) > 0 ? this.#ours : this.#surplus).add(token)
    if (!outlet.inTurn || origin.handed === 1) this.#place(token)
    else this.#also(recall(this.#session, this.#prefix, this.#spec, token).then(() => this.#place(token)))
  }

  #place(token: Token): void {
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
    if (this.#surplus.has(token)) this.#also(this.#giveBack([token]))
    else if (deadLetter !== undefined && token.deliveries > (deliveryLimit ?? Number.POSITIVE_INFINITY))
      // Not stored, it comes again when its lease is over.
      this.#also(this.#instead(token, buried(token, subjectOf(this.#prefix, deadLetter), name)))
    else this.#inbox.push(token)
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
    await Promise.all([this.#fanIn.withdraw(), this.#feeder?.stop()])
    await briefly(Promise.all(this.#working))
    await this.#giveBack(this.#inbox.drain())
  }

  /** What the core has not seen goes back as if it had not been handed over. */
  async #giveBack(tokens: readonly (Token | undefined)[]): Promise<void> {
    const live = tokens.filter(isToken).filter((token) => this.#isOurs(token))
    if (live.length === 0 || this.#session.lost) return
    const inTurn = live.filter(({ outlet }) => outlet.inTurn)
    const others = live.filter(({ outlet }) => !outlet.inTurn)
    const returns = inTurn.map((token, index) => ({ index, token, seen: false }))
    await briefly(
      Promise.all([
        release(this.#session, this.#prefix, this.#spec, returns),
        this.#spec.role === 'dead-letter'
          ? settle(this.#session, others.map(returned))
          : replace(
              this.#session,
              others.map((token, index) => ({ index, ...givenBack(token, this.#subject, false) })),
            ),
      ]),
    )
    this.#free(live)
  }

  async #close(): Promise<void> {
    await this.stop()
    const left = [...this.#ours].filter((token) => this.#isOurs(token))
    if (left.length > 0)
      await briefly(this.#connection.open().then((session) => ask(session, left.map(returned))))
    this.#closed = true
    this.#ours.clear()
    this.#fanIn.close()
  }
}

const returned = (token: Token, index: number): Order => ({ index, token, payload: nak(0) })

const isToken = (token: Token | undefined): token is Token => token !== undefined
