import { DriverError, type Failure, lostError } from '@msgloop/core/driver'
import type { ConfirmChannel } from 'amqplib'
import type { Session } from './connection.js'
import { classify, unsent } from './errors.js'

/** Some publishes that succeed or fail one by one. */
export interface Publishing {
  readonly size: number
  id(index: number): string
  bodyBytes(index: number): number
  /** Publishes one item; returns what `channel.publish` returns, throws for an item that cannot be written. */
  write(channel: ConfirmChannel, index: number, confirmed: (error: unknown) => void): boolean
}

interface Batch {
  readonly items: Publishing
  readonly failures: Failure[]
  readonly settled: boolean[]
  readonly resolve: (failures: readonly Failure[]) => void
  /** False while what the items need is being declared. Later batches wait as well: order is kept. */
  prepared: boolean
  /** Items without an outcome. */
  left: number
}

/**
 * amqplib asks for a pause every 16 KiB. Written further ahead, messages leave in fewer, larger writes,
 * which is most of what sending costs; past this much it is memory that would grow.
 */
const WRITE_AHEAD_BYTES = 1024 * 1024
/** Frames and properties around a body, roughly. */
const FRAMES_BYTES = 256

/** A confirm channel, written to in order, no faster than the broker reads, and not while it blocks publishers. */
export class Publisher {
  readonly session: Session
  readonly #channel: ConfirmChannel
  readonly #unwritten: Batch[] = []
  readonly #written = new Set<Batch>()
  /** Ids that came back as unroutable. True: messages in flight share the id, so whose it was is not known. */
  readonly #returned = new Map<string, boolean>()
  readonly #pump = (): void => this.#writeOn()
  /** What was written last. */
  #last: { readonly batch: Batch; readonly index: number } | undefined
  #full = false
  /** Bytes written since the broker last had read everything. */
  #ahead = 0
  #cause: unknown
  #lost: DriverError | undefined

  static async open(session: Session, signal?: AbortSignal): Promise<Publisher> {
    return new Publisher(session, await session.confirmChannel(signal))
  }

  private constructor(session: Session, channel: ConfirmChannel) {
    this.session = session
    this.#channel = channel
    channel.on('error', (error) => {
      this.#cause = error
      // An exchange was deleted: what is known of the delay queues is no longer true.
      if (classify(error).code === 'NOT_FOUND') session.forgetDelays()
    })
    channel.on('close', () => this.#end(this.#loss()))
    channel.on('return', (message) => this.#returned.set(String(message.properties.messageId), false))
    channel.on('drain', () => {
      this.#full = false
      this.#ahead = 0
      this.#writeOn()
    })
    session.model.on('unblocked', this.#pump)
  }

  /** Set once nothing can be published here any more. */
  get lost(): DriverError | undefined {
    return this.#lost
  }

  /** Never rejects. Ends at once on abort, though what was written may still be stored. */
  publish(items: Publishing, signal?: AbortSignal, preparation?: Promise<void>): Promise<readonly Failure[]> {
    return new Promise((resolve) => {
      const abort = (): void => this.#abort(batch, signal?.reason)
      const batch: Batch = {
        items,
        failures: [],
        settled: [],
        resolve: (failures) => {
          signal?.removeEventListener('abort', abort)
          resolve(failures)
        },
        prepared: preparation === undefined,
        left: items.size,
      }
      this.#unwritten.push(batch)
      signal?.addEventListener('abort', abort)
      if (signal?.aborted) return abort()
      if (this.#lost) return this.#end(this.#lost)
      const ready = (): void => {
        batch.prepared = true
        this.#writeOn()
      }
      if (preparation) preparation.then(ready, ready)
      else this.#writeOn()
    })
  }

  async close(): Promise<void> {
    this.#end(new DriverError('CLOSED', 'rabbitmq: the sender was closed'))
    await this.#channel.close()
  }

  #writeOn(): void {
    while (!this.#full && !this.#lost && !this.session.blocked) {
      const batch = this.#unwritten[0]
      if (!batch?.prepared) return
      this.#unwritten.shift()
      this.#written.add(batch)
      for (let index = 0; index < batch.items.size; index++) {
        try {
          this.#last = { batch, index }
          this.#ahead += batch.items.bodyBytes(index) + FRAMES_BYTES
          if (
            !batch.items.write(this.#channel, index, (error) => this.#confirm(batch, index, error)) &&
            this.#ahead >= WRITE_AHEAD_BYTES
          )
            this.#full = true
        } catch (error) {
          this.#settle(batch, index, isClosed(error) ? unsent(this.#loss()) : error)
        }
      }
    }
  }

  #confirm(batch: Batch, index: number, error: unknown): void {
    if (error === null) this.#settle(batch, index)
    else if (error instanceof Error && error.message === 'message nacked')
      this.#settle(batch, index, refused())
    else this.#settle(batch, index, this.#lossOf(batch, index))
  }

  #settle(batch: Batch, index: number, error?: unknown): void {
    batch.settled[index] = true
    if (error !== undefined) batch.failures.push({ index, error })
    if (--batch.left > 0) return
    if (this.#returned.size > 0) this.#failReturned(batch)
    this.#written.delete(batch)
    batch.resolve(batch.failures)
  }

  /** A return comes before its confirm and names only the id, so it is matched once a batch is confirmed. */
  #failReturned(batch: Batch): void {
    const holders = new Map<string, number>()
    for (const { items } of this.#written)
      for (let index = 0; index < items.size; index++) {
        const id = items.id(index)
        if (this.#returned.has(id)) holders.set(id, (holders.get(id) ?? 0) + 1)
      }
    const failed = new Set(batch.failures.map((failure) => failure.index))
    for (let index = 0; index < batch.items.size; index++) {
      const id = batch.items.id(index)
      const holding = holders.get(id)
      if (holding === undefined) continue
      const shared = holding > 1 || this.#returned.get(id) === true
      if (!failed.has(index)) batch.failures.push({ index, error: unroutable(shared) })
      holders.set(id, holding - 1)
      if (holding > 1) this.#returned.set(id, true)
      else this.#returned.delete(id)
    }
  }

  #abort(batch: Batch, reason: unknown): void {
    const waiting = this.#unwritten.indexOf(batch)
    const error =
      waiting < 0
        ? new DriverError('ABORTED', 'rabbitmq: not confirmed yet', { outcome: 'unknown', cause: reason })
        : (this.session.blocked ??
          new DriverError('ABORTED', 'rabbitmq: not sent yet', { outcome: 'rejected', cause: reason }))
    if (waiting >= 0) this.#unwritten.splice(waiting, 1)
    this.#failRest(batch, error)
  }

  #end(error: DriverError): void {
    this.#lost ??= error
    this.session.model.off('unblocked', this.#pump)
    for (const batch of this.#unwritten.splice(0)) this.#failRest(batch, unsent(error))
  }

  /** Answers the caller. A written batch stays known until it is confirmed. */
  #failRest(batch: Batch, error: DriverError): void {
    const failures = [...batch.failures]
    for (let index = 0; index < batch.items.size; index++)
      if (!batch.settled[index]) failures.push({ index, error })
    batch.resolve(failures)
  }

  #loss(): DriverError {
    return this.session.lost ?? lostError('rabbitmq: the channel for sending', this.#cause)
  }

  /** The broker closes the channel over one bad message; its neighbours are only cut off. */
  #lossOf(batch: Batch, index: number): unknown {
    const { message } = this.#cause instanceof Error ? this.#cause : { message: '' }
    const tooLarge = /message size (\d+) is larger than/.exec(message)?.[1]
    const { code } = classify(this.#cause)
    if (tooLarge === String(batch.items.bodyBytes(index)) || code === 'DENIED') return this.#cause
    // The broker takes nothing more from the first message on whose exchange is missing: not the last, at least.
    if (code === 'NOT_FOUND' && this.#last?.batch === batch && this.#last.index === index)
      return new DriverError('NOT_FOUND', 'rabbitmq: there is no such topic, or a delay queue is missing', {
        outcome: 'rejected',
        cause: this.#cause,
      })
    return this.#loss()
  }
}

const isClosed = (error: unknown): boolean => error instanceof Error && error.name === 'IllegalOperationError'

/** What a queue says that is full and has `reject-publish`. It was the only queue asked, so no other has it. */
const refused = (): DriverError =>
  new DriverError('BUSY', 'rabbitmq: the queue takes no more messages for now', {
    retryable: true,
    outcome: 'rejected',
  })

const unroutable = (shared: boolean): DriverError =>
  new DriverError('NOT_FOUND', 'rabbitmq: there is no such queue', {
    outcome: shared ? 'unknown' : 'rejected',
  })
