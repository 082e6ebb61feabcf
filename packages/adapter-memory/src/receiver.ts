import type { Delivery, Failure, Receiver, ReceiverOptions, Settlement } from '@msgloop/core/driver'
import { BOOK_HEADERS, DriverError } from '@msgloop/core/driver'
import type { Connection, Link } from './connection.js'
import { type Holder, Lease } from './lease.js'
import { deleted, type QueueState } from './queue-state.js'
import { settle } from './settle.js'
import { type StoredMessage, show } from './stored-message.js'
import type { Waiter } from './waiters.js'

/**
 * Takes from one queue. It fetches nothing ahead: a message is leased at the moment `receive` hands
 * it over. Like a consumer's channel elsewhere, it takes what it holds back with it when it ends.
 */
export class MemoryReceiver implements Receiver<Lease>, Holder, Link {
  readonly held = new Set<Lease>()
  /** Only declared, so that it is absent where leases cannot be renewed. */
  declare readonly extend?: (tokens: readonly Lease[], leaseMs: number) => Promise<readonly Failure[]>
  readonly #connection: Connection
  readonly #queue: QueueState
  readonly #options: ReceiverOptions
  readonly #waits = new Set<{ end(error?: DriverError): void }>()
  #ended: DriverError | undefined

  constructor(connection: Connection, queue: QueueState, options: ReceiverOptions) {
    this.#connection = connection
    this.#queue = queue
    this.#options = options
    if (connection.broker.profile.capabilities.lease === 'renewable')
      this.extend = async (tokens, leaseMs) => this.#extend(tokens, leaseMs)
    queue.consumers++
    connection.links.add(this)
  }

  async receive(max: number, waitMs: number, signal: AbortSignal): Promise<readonly Delivery<Lease>[]> {
    this.#check()
    const turn = this.#connection.turns.due()
    if (turn) {
      await turn
      // Begun before the stop, so it ends as a wait does.
      if (this.#ended?.code === 'CLOSED') return []
      this.#check()
    }
    if (signal.aborted) return []
    let leases = this.#queue.take(this.#room(max), this, this.#options.leaseMs)
    if (leases.length === 0 && waitMs > 0) leases = await this.#wait(max, waitMs, signal)
    this.#connection.turns.spend(leases.length)
    return leases.map((lease) => this.#deliver(lease))
  }

  async settle(batch: readonly Settlement<Lease>[]): Promise<readonly Failure[]> {
    const { broker } = this.#connection
    this.#checkBatch(batch.length)
    const failures: Failure[] = []
    for (const [index, { token, verdict }] of batch.entries()) {
      if (this.#settled(token)) continue
      const error = this.#isOurs(token) ? settle(broker, this.#queue, token, verdict) : this.#lost(token)
      if (error) failures.push({ index, error })
    }
    this.#queue.waiters.wake()
    return failures
  }

  async stop(): Promise<void> {
    this.#end(new DriverError('CLOSED', 'the receiver is stopped'))
    for (const wait of [...this.#waits]) wait.end()
  }

  async close(): Promise<void> {
    await this.stop()
    this.#letGo()
  }

  cut(error: DriverError): void {
    this.lose(error)
  }

  lose(error: DriverError): void {
    const told = this.#connection.links.has(this)
    this.#end(error)
    this.#letGo()
    for (const wait of [...this.#waits]) wait.end(error)
    if (told) this.#options.onLost(error)
  }

  #end(error: DriverError): void {
    if (this.#ended) return
    this.#ended = error
    this.#queue.consumers--
  }

  #letGo(): void {
    this.#connection.links.delete(this)
    for (const lease of [...this.held]) this.#queue.takeBack(lease)
  }

  #check(): void {
    if (this.#ended) throw this.#ended
    if (this.#queue.deleted) throw deleted(this.#queue.spec.name)
    this.#connection.check()
  }

  #room(max: number): number {
    const { receiveBatch } = this.#connection.broker.profile.capabilities.limits
    return Math.min(max, receiveBatch, this.#options.prefetch - this.held.size)
  }

  #wait(max: number, waitMs: number, signal: AbortSignal): Promise<Lease[]> {
    const { waiters } = this.#queue
    return new Promise((resolve, reject) => {
      const over = (): void => {
        cancel()
        signal.removeEventListener('abort', stop)
        waiters.remove(waiter)
        this.#waits.delete(wait)
      }
      const stop = (): void => waiter.give([])
      const waiter: Waiter = {
        holder: this,
        leaseMs: this.#options.leaseMs,
        room: () => this.#room(max),
        give(leases) {
          over()
          resolve(leases)
        },
        fail(error) {
          over()
          reject(error)
        },
      }
      const wait = { end: (error?: DriverError) => (error ? waiter.fail(error) : waiter.give([])) }
      const cancel = this.#connection.broker.clock.after(waitMs, stop)
      signal.addEventListener('abort', stop, { once: true })
      this.#waits.add(wait)
      waiters.add(waiter)
    })
  }

  #deliver(lease: Lease): Delivery<Lease> {
    const { retry } = this.#connection.broker.profile.capabilities
    return deliver(lease, lease.stored, retry === 'in-place')
  }

  #extend(tokens: readonly Lease[], leaseMs: number): Failure[] {
    const { clock, profile } = this.#connection.broker
    const { limits } = profile.capabilities
    this.#checkBatch(tokens.length)
    const until = clock.now() + Math.ceil(leaseMs / profile.leaseResolutionMs) * profile.leaseResolutionMs
    const failures: Failure[] = []
    for (const [index, token] of tokens.entries()) {
      if (!this.#isOurs(token)) failures.push({ index, error: this.#lost(token) })
      else if (until - token.takenAt > limits.leaseMs)
        failures.push({
          index,
          error: new DriverError(
            'INVALID',
            `a lease can last ${limits.leaseMs} ms in all, renewals included`,
          ),
        })
      else this.#queue.extend(token, until)
    }
    return failures
  }

  #isOurs(token: unknown): token is Lease {
    return token instanceof Lease && token.holder === this && this.#queue.isHeld(token)
  }

  #settled(token: unknown): boolean {
    return token instanceof Lease && token.holder === this && token.settled
  }

  #lost(token: unknown): DriverError {
    const what = token instanceof Lease ? `message ${token.stored.message.id}` : 'a message'
    return new DriverError('LEASE_LOST', `the delivery of ${what} is no longer this receiver's`)
  }

  #checkBatch(length: number): void {
    const { settleBatch } = this.#connection.broker.profile.capabilities.limits
    if (length > settleBatch)
      throw new DriverError('TOO_LARGE', `a batch of ${length}; at most ${settleBatch} are possible here`)
  }
}

/** A delivery, or a look at a message without taking it. */
export function deliver<Token>(token: Token, stored: StoredMessage, inPlace: boolean): Delivery<Token> {
  const message = show(stored.message)
  return {
    token,
    message,
    deliveries: stored.deliveries,
    ...(inPlace && { attempt: before(stored) + stored.handed - stored.released }),
    ...(stored.nativeDeath && { nativeDeath: stored.nativeDeath }),
    native: message,
  }
}

/** Attempts of earlier copies, as a message that comes from another broker says. */
function before({ message }: StoredMessage): number {
  const attempt = Number(message.headers[BOOK_HEADERS.attempt])
  return Number.isSafeInteger(attempt) && attempt > 0 ? attempt - 1 : 0
}
