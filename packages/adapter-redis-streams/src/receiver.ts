import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import {
  type Delivery,
  type Failure,
  type Receiver,
  type ReceiverOptions,
  type Settlement,
  type Source,
  sleep,
  systemClock,
} from '@msgloop/core/driver'
import { arrivals } from './arrivals.js'
import type { Entry } from './entry.js'
import { classify, notFound } from './errors.js'
import { pack } from './msgpack.js'
import { RECEIVE } from './receive-script.js'
import { readNumbers, readReceived } from './replies.js'
import { leaseLost, type Place, settle } from './settle.js'
import { EXTEND, LEAVE } from './settle-scripts.js'
import { Token } from './token.js'
import { type Decoded, deathHeaders, decode } from './wire.js'

/**
 * How long a blocking read may last. Between two of them the receiver looks for what is due and for
 * leases that are over: what another client delays by less than this is late by the rest of it.
 */
const LOOK_MS = 200
/** How often it looks for what somebody took without a lease. */
const STRAYS_MS = 60_000
/** A renewal that is not answered by then is not worth waiting for. */
const RENEW_MS = 10_000
/** Letting go is a courtesy: leases end by themselves. */
const LEAVE_MS = 2_000

/** One `receive` under way. */
interface Look {
  /** Nobody waits for it any more. */
  over: boolean
  /** Ends what it waits for. */
  wake: () => void
  readonly leave: () => void
}

type Taken = Delivery<Token> & { readonly nth: number }

const takenOf = ({ message, deliveries, nativeDeath }: Decoded, token: Token, nth: number): Taken =>
  nativeDeath
    ? { token, message, deliveries, nth, native: token.entry, nativeDeath }
    : { token, message, deliveries, nth, native: token.entry }

/** Takes from one queue. It fetches nothing ahead: a message is leased the moment it is taken. */
export class RedisReceiver implements Receiver<Token> {
  readonly #place: Place
  readonly #spec: Source
  readonly #prefetch: number
  readonly #leaseMs: number
  readonly #id = randomUUID().slice(0, 8)
  /** Consumer of the group, unlike any other. */
  readonly #name: string
  readonly #held = new Set<Token>()
  /** Of what the server may have handed over by replies that never came. */
  readonly #lostNonces: string[] = []
  readonly #looks = new Map<Look, Promise<void>>()
  readonly #stopping = new AbortController()
  #takes = 0
  /** Of the clock's `elapsed`: until then nothing is there but what a blocking read would bring. */
  #drainedUntil = 0
  #closing: Promise<void> | undefined

  static async open(
    place: Place,
    spec: Source,
    options: ReceiverOptions,
    signal: AbortSignal,
  ): Promise<RedisReceiver> {
    const receiver = new RedisReceiver(place, spec, options)
    await receiver.#take(0, [], signal)
    return receiver
  }

  private constructor(place: Place, spec: Source, options: ReceiverOptions) {
    this.#place = { ...place, passed: () => this.#lookAgain() }
    this.#spec = spec
    // Every look listens, and there may be many.
    setMaxListeners(0, this.#stopping.signal)
    this.#prefetch = options.prefetch
    this.#leaseMs = options.leaseMs
    this.#name = `${options.consumer.slice(0, 120)}#${this.#id}`
  }

  receive(max: number, waitMs: number, signal: AbortSignal): Promise<readonly Delivery<Token>[]> {
    if (this.#stopping.signal.aborted || signal.aborted) return Promise.resolve([])
    return new Promise((resolve, reject) => {
      const look: Look = {
        over: false,
        wake: () => {},
        leave: () => {
          look.over = true
          look.wake()
          resolve([])
        },
      }
      signal.addEventListener('abort', look.leave, { once: true })
      const work = this.#look(max, waitMs, look)
        .then((deliveries) => (look.over ? this.#giveBack(deliveries) : resolve(deliveries)), reject)
        .finally(() => {
          signal.removeEventListener('abort', look.leave)
          this.#looks.delete(look)
        })
      this.#looks.set(look, work)
    })
  }

  async settle(batch: readonly Settlement<Token>[], signal?: AbortSignal): Promise<readonly Failure[]> {
    const failures = await settle(this.#place, batch, signal)
    for (const { token } of batch) if (token.settled) this.#held.delete(token)
    return failures
  }

  async extend(tokens: readonly Token[], leaseMs: number): Promise<readonly Failure[]> {
    const { nodes, keys, queue } = this.#place
    const until = systemClock.elapsed() + leaseMs
    const members = pack(tokens.map(({ member }) => member))
    const reply = await nodes.call(
      keys.tag,
      (session) => session.run(EXTEND, [keys.receivers, keys.leases], [leaseMs, this.#name, members]),
      AbortSignal.timeout(Math.min(leaseMs, RENEW_MS)),
    )
    for (const token of tokens) token.until = until
    return readNumbers(reply).map((index) => ({ index, error: leaseLost(queue) }))
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    for (const look of this.#looks.keys()) look.leave()
    await Promise.all(this.#looks.values())
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.stop()
    const { nodes, keys } = this.#place
    const held = pack([...this.#held].map(({ member }) => member))
    this.#held.clear()
    const lost = pack(this.#lostNonces)
    const names = [keys.stream, keys.leases, keys.receivers]
    const leave = (): Promise<unknown> =>
      nodes.call(
        keys.tag,
        (session) => session.run(LEAVE, names, [this.#name, held, lost]),
        AbortSignal.timeout(LEAVE_MS),
      )
    // A connection that was cut is known to be when it is used.
    await leave()
      .catch(leave)
      .catch(() => {})
  }

  /** Takes what is there, and waits for what arrives and for the time to look again, by turns. */
  async #look(max: number, waitMs: number, look: Look): Promise<readonly Delivery<Token>[]> {
    const until = systemClock.elapsed() + waitMs
    for (;;) {
      const now = systemClock.elapsed()
      const room = this.#room(max, now)
      const waitFor = Math.min(until, this.#drainedUntil) - now
      if (room <= 0) await sleep(systemClock, Math.min(LOOK_MS, until - now), this.#stopping.signal)
      else if (waitFor <= 0) {
        const deliveries = await this.#takeSound(room, [])
        if (deliveries.length > 0) return deliveries
      } else {
        const arrived = await arrivals(this.#place, room, waitFor, look, this.#stopping.signal)
        if (!arrived) this.#drainedUntil = 0
        // Taken also when nobody waits any more: then it is given back.
        const deliveries = arrived?.length ? await this.#takeSound(room, arrived) : []
        if (deliveries.length > 0) return deliveries
      }
      if (look.over || systemClock.elapsed() >= until) return []
    }
  }

  /** Takes, and dead-letters on sight what was handed over too often: the backstop. */
  async #takeSound(max: number, arrived: readonly Entry[]): Promise<readonly Delivery<Token>[]> {
    const taken = await this.#take(max, arrived)
    const { deliveryLimit = Number.POSITIVE_INFINITY, deadLetter } = this.#spec
    const over = taken.filter(({ nth }) => nth > deliveryLimit)
    if (over.length === 0 || deadLetter === undefined) return taken
    const settlements = over.map(({ token, deliveries }) => {
      const headers = deathHeaders(this.#place.queue, deliveries, systemClock.now())
      return { token, verdict: { kind: 'move', to: deadLetter, headers } } as const
    })
    // What cannot be moved is shown: the core has its own limit, and can make the queue again.
    await this.settle(settlements)
    return taken.filter(({ token }) => !token.settled)
  }

  /** Not abortable once it is open: what the server hands over must be known, to be given back. */
  async #take(max: number, arrived: readonly Entry[], signal?: AbortSignal): Promise<readonly Taken[]> {
    const { nodes, keys, queue, strayed } = this.#place
    const now = systemClock.elapsed()
    const nonce = `${this.#id}.${++this.#takes}`
    const strays = max > 0 && now - (strayed.get(queue) ?? Number.NEGATIVE_INFINITY) > STRAYS_MS
    if (strays) strayed.set(queue, now)
    const { stream, leases, settings, delayed, receivers, turns, waiting } = keys
    const names = [stream, leases, settings, delayed, receivers, turns, waiting]
    const ids = pack(arrived.map(({ id }) => id))
    const args = [max, this.#leaseMs, this.#name, nonce, ids, strays ? 1 : 0, LOOK_MS]
    const reply = await nodes
      .call(keys.tag, (session) => session.run(RECEIVE, names, args), signal)
      .catch((error) => {
        if (classify(error).outcome !== 'rejected') this.#lostNonces.push(nonce)
        throw error
      })
    if (reply === null) throw notFound(queue)
    const { found, waitMs, mayBeMore, keyed } = readReceived(reply)
    this.#drainedUntil = mayBeMore || max === 0 ? 0 : now + waitMs
    const read = new Map(arrived.map((entry) => [entry.id, entry]))
    return found.map(({ entry: bare, nth }) => {
      const entry = read.get(bare.id) ?? bare
      const decoded = decode(entry, nth)
      const key = keyed ? decoded.message.key : undefined
      const token = new Token(entry, nth, nonce, now + this.#leaseMs, key)
      this.#held.add(token)
      return takenOf(decoded, token, nth)
    })
  }

  /** Gives back at once, and as if it had not been taken. */
  async #giveBack(deliveries: readonly Delivery<Token>[]): Promise<void> {
    if (deliveries.length === 0) return
    const release = { kind: 'release' } as const
    await this.settle(deliveries.map(({ token }) => ({ token, verdict: release })))
  }

  /** Something is there that no blocking read would bring. */
  #lookAgain(): void {
    this.#drainedUntil = 0
    for (const look of this.#looks.keys()) look.wake()
  }

  #room(max: number, now: number): number {
    if (this.#held.size + max > this.#prefetch)
      for (const token of this.#held) if (token.until <= now) this.#held.delete(token)
    return Math.min(max, this.#prefetch - this.#held.size)
  }
}
