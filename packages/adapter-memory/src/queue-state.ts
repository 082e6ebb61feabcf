import type { Clock, NativeDeath, Source, WireMessage } from '@msgloop/core/driver'
import { DriverError } from '@msgloop/core/driver'
import { Alarm } from './alarm.js'
import type { Profile } from './capabilities.js'
import { DueHeap } from './due-heap.js'
import { IdWindow } from './id-window.js'
import { KeyLines } from './key-lines.js'
import { type Holder, Lease } from './lease.js'
import { Ledger } from './ledger.js'
import { type Ready, ReadyQueue } from './ready.js'
import { keep, StoredMessage } from './stored-message.js'
import { Waiters } from './waiters.js'

/** What a queue must know of the broker it is on. */
export interface Site {
  readonly clock: Clock
  readonly profile: Profile
  queue(name: string): QueueState | undefined
}

/**
 * One queue: where each message is and who holds it. Synchronous, so that every step is atomic.
 *
 * A message is ready, delayed or leased. Ready ones are served in the order they became ready, and where the queue
 * has order by key, those of one key in the order they were sent. Time is judged by the clock on every touch, so a
 * late timer never keeps a lease alive.
 */
export class QueueState {
  readonly spec: Source
  readonly waiters: Waiters
  readonly #site: Site
  readonly #ledger = new Ledger<StoredMessage>()
  readonly #ready: Ready
  /** A message that waits for its retry holds back those behind it. */
  readonly #keepsTurn: boolean
  readonly #delays = new DueHeap<StoredMessage>()
  readonly #leases = new DueHeap<Lease>()
  readonly #ids: IdWindow
  readonly #alarm: Alarm
  #places = 0
  /** Open receivers. */
  consumers = 0
  #deleted = false

  constructor(spec: Source, site: Site) {
    this.spec = spec
    this.#site = site
    const byKey = spec.order === 'key'
    this.#ready = byKey ? new KeyLines() : new ReadyQueue()
    this.#keepsTurn = byKey && site.profile.capabilities.order === 'broker'
    this.#ids = new IdWindow(spec.dedupWindowMs)
    this.#alarm = new Alarm(site.clock, () => this.touch())
    this.waiters = new Waiters((max, holder, leaseMs) => this.#lease(max, holder, leaseMs))
  }

  get deleted(): boolean {
    return this.#deleted
  }

  get ready(): number {
    return this.#ready.size
  }

  get inFlight(): number {
    return this.#leases.size
  }

  get delayed(): number {
    return this.#delays.size
  }

  /** Whether forgetting this queue would lose nothing: no message, no id to recognise. */
  get empty(): boolean {
    return this.ready + this.inFlight + this.delayed === 0 && this.#ids.isEmpty(this.#site.clock.now())
  }

  /** Stores a message that is sent, unless its id was seen within the dedup window. */
  send(message: WireMessage, delayMs: number): void {
    this.touch()
    const now = this.#site.clock.now()
    if (this.#ids.admit(message.id, now)) this.add(keep(message), now, delayMs)
  }

  /** Stores a message that is the broker's own already. Moves are never taken for duplicates. */
  add(message: WireMessage, now: number, delayMs: number, death?: NativeDeath): void {
    const stored = new StoredMessage(this.#ledger.next, message, now + delayMs, death)
    this.#ledger.add(stored)
    if (delayMs > 0) this.#delay(stored, now + delayMs)
    else this.#admit(stored, now)
  }

  /** The holder failed: a copy with other bookkeeping, shown after `delayMs`, takes the message's place. */
  replace(lease: Lease, message: WireMessage, delayMs: number): void {
    const { stored } = lease
    this.remove(lease)
    const now = this.#site.clock.now()
    const copy = new StoredMessage(this.#ledger.next, message, now + delayMs, stored.nativeDeath)
    copy.place = stored.place
    this.#ledger.add(copy)
    this.#again(copy, now, delayMs)
  }

  /** Leases up to `max` ready messages to `holder`, after those who wait already. */
  take(max: number, holder: Holder, leaseMs: number): Lease[] {
    this.touch()
    this.waiters.serve()
    return this.#lease(max, holder, leaseMs)
  }

  /** Whether the lease is still its holder's, by the clock. */
  isHeld(lease: Lease): boolean {
    this.touch()
    return lease.holder.held.has(lease)
  }

  /** Moves the end of a held lease. */
  extend(lease: Lease, until: number): void {
    this.#leases.remove(lease)
    lease.at = until
    this.#leases.push(lease)
    this.#alarm.set(until)
  }

  /** The message is done with: off the queue. */
  remove(lease: Lease): void {
    this.#end(lease)
    lease.settled = true
    this.#ledger.remove(lease.stored)
  }

  /** The holder failed: the same message is shown again after `delayMs`. */
  retry(lease: Lease, delayMs: number): void {
    this.#end(lease)
    lease.settled = true
    this.#again(lease.stored, this.#site.clock.now(), delayMs)
  }

  /** The holder did not process the message: as if it had not been taken. */
  release(lease: Lease): void {
    lease.settled = true
    this.takeBack(lease)
  }

  /** The holder is gone: the message is ready again, in its place. */
  takeBack(lease: Lease): void {
    this.#end(lease)
    this.#admit(lease.stored, this.#site.clock.now(), lease.stored.place)
  }

  /** Brings everything up to the clock. */
  touch(): void {
    const now = this.#site.clock.now()
    for (;;) {
      const delayed = this.#delays.peek()
      const lease = this.#leases.peek()
      if (delayed && delayed.at <= now && !(lease && lease.at < delayed.at)) {
        this.#delays.remove(delayed)
        this.#due(delayed, now)
      } else if (lease && lease.at <= now) this.#expire(lease)
      else break
    }
    this.#trim(now)
    this.#alarm.set(Math.min(this.#delays.peek()?.at ?? Infinity, this.#leases.peek()?.at ?? Infinity))
  }

  /** Stops the timer, while nobody is connected. `touch` sets it again. */
  rest(): void {
    this.#alarm.off()
  }

  /** Removes what is ready, and what is delayed unless told otherwise; returns how many. */
  purge(delayedToo = true): number {
    this.touch()
    const delayed = delayedToo ? this.#delays.drain() : []
    for (const stored of delayed) if (stored.stalls) this.#ready.proceed(stored)
    const purged = [...this.#ready.drain(), ...delayed]
    for (const stored of purged) this.#ledger.remove(stored)
    return purged.length
  }

  delete(): void {
    this.#deleted = true
    this.purge()
    for (const lease of this.#leases.drain()) lease.holder.held.delete(lease)
    this.#alarm.off()
    this.waiters.fail(deleted(this.spec.name))
  }

  /** Messages in any state, in the order they were stored, from number `order` on. */
  messages(order = 0): Iterable<StoredMessage> {
    this.touch()
    return this.#ledger.from(order)
  }

  #lease(max: number, holder: Holder, leaseMs: number): Lease[] {
    const taken: Lease[] = []
    if (max <= 0 || this.ready === 0) return taken
    const now = this.#site.clock.now()
    const { capabilities, leaseResolutionMs } = this.#site.profile
    const ms =
      capabilities.lease === 'renewable'
        ? Math.ceil(leaseMs / leaseResolutionMs) * leaseResolutionMs
        : capabilities.limits.leaseMs
    while (taken.length < max) {
      const stored = this.#ready.next(holder)
      if (!stored) break
      this.#ready.take(stored, holder)
      stored.handed++
      const lease = new Lease(stored, holder, now, now + ms)
      this.#leases.push(lease)
      holder.held.add(lease)
      taken.push(lease)
    }
    this.#alarm.set(now + ms)
    return taken
  }

  #end(lease: Lease): void {
    this.#leases.remove(lease)
    lease.holder.held.delete(lease)
    this.#ready.end(lease.stored)
  }

  #expire(lease: Lease): void {
    if (this.#site.profile.capabilities.lease === 'renewable') {
      this.#end(lease)
      const { place } = lease.stored
      this.#admit(lease.stored, this.#site.clock.now(), this.spec.order === 'key' ? place : undefined)
      return
    }
    // As RabbitMQ does when a consumer is too slow: not one delivery is lost, but the whole channel.
    const { leaseMs } = this.#site.profile.capabilities.limits
    lease.holder.lose(
      new DriverError('CONNECTION_LOST', `a delivery was not settled for ${leaseMs} ms (consumer timeout)`, {
        retryable: true,
      }),
    )
  }

  /** It failed, and comes again. */
  #again(stored: StoredMessage, now: number, delayMs: number): void {
    const place = this.#keepsTurn ? stored.place : undefined
    if (this.#keepsTurn && delayMs > 0) {
      stored.stalls = true
      this.#ready.stall(stored)
    }
    if (delayMs > 0) this.#delay(stored, now + delayMs)
    else this.#admit(stored, now, place)
  }

  #due(stored: StoredMessage, now: number): void {
    const { stalls, place } = stored
    stored.stalls = false
    if (stalls) this.#ready.proceed(stored)
    this.#admit(stored, now, stalls ? place : undefined)
  }

  #delay(stored: StoredMessage, at: number): void {
    stored.at = at
    stored.delayed = true
    this.#delays.push(stored)
    this.#alarm.set(at)
  }

  /** Makes a message ready, unless it was handed over too often: then the broker dead-letters it. */
  #admit(stored: StoredMessage, now: number, place?: number): void {
    stored.delayed = false
    const { deliveryLimit, deadLetter, name } = this.spec
    const limit = deliveryLimit ?? Infinity
    if (deadLetter !== undefined && stored.handed > 0 && stored.deliveries >= limit) {
      const target = this.#site.queue(deadLetter)
      // Without a queue to take it, it goes round again: better seen too often than never.
      if (target) {
        this.#ledger.remove(stored)
        const death: NativeDeath = { reason: 'crash-loop', source: name, at: now }
        target.add({ ...stored.message, expiresAt: undefined }, now, 0, death)
        return
      }
    }
    this.#ready.add(stored, place ?? this.#places++, place !== undefined)
    this.waiters.wake()
  }

  /** Drops what was kept for longer than `retentionMs`, once it comes to the head. */
  #trim(now: number): void {
    const { retentionMs } = this.spec
    if (retentionMs === undefined) return
    for (let next = this.#ready.next(); next && next.since + retentionMs <= now; next = this.#ready.next()) {
      this.#ready.drop(next)
      this.#ledger.remove(next)
    }
  }
}

/** Nobody has declared it. */
export function missing(name: string): DriverError {
  return new DriverError('NOT_FOUND', `no queue "${name}"`, { outcome: 'rejected' })
}

/** Deleted under a receiver. Retryable, for the core may declare it again. */
export function deleted(name: string): DriverError {
  return new DriverError('NOT_FOUND', `queue "${name}" was deleted`, { retryable: true })
}
