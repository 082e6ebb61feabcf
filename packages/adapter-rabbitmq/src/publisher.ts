import { DriverError, type Failure } from '@msgloop/core/driver'
import type { ConfirmChannel } from 'amqplib'
import type { Session } from './connection.js'
import { classify, lostError } from './errors.js'

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
  /** What `items` still has to be declared for; its later batches wait too, as order is kept. */
  prepared: boolean
  /** Not yet confirmed or failed, or not yet written. */
  left: number
  written: Uint8Array
  resolve(failures: readonly Failure[]): void
}

/**
 * A confirm channel that is written to in order, no faster than the broker reads, and not at all
 * while the broker blocks publishers. Its life is that of its channel.
 */
export class Publisher {
  readonly #session: Session
  readonly #channel: ConfirmChannel
  readonly #unwritten: Batch[] = []
  readonly #live = new Set<Batch>()
  /** Ids that came back as unroutable; true where two messages in flight share the id. */
  readonly #returned = new Map<string, boolean>()
  readonly #resume = (): void => this.#pump()
  #full = false
  #cause: unknown
  #lost: DriverError | undefined

  static async open(session: Session, signal?: AbortSignal): Promise<Publisher> {
    return new Publisher(session, await session.confirmChannel(signal))
  }

  private constructor(session: Session, channel: ConfirmChannel) {
    this.#session = session
    this.#channel = channel
    channel.on('error', (error) => {
      this.#cause = error
      // An exchange of the delays is gone, so what was known of them is not true any more.
      if (classify(error).code === 'NOT_FOUND') session.forgetDelays()
    })
    channel.on('close', () => this.#end())
    channel.on('return', (message) => this.#returned.set(String(message.properties.messageId), false))
    channel.on('drain', () => {
      this.#full = false
      this.#pump()
    })
    session.model.on('unblocked', this.#resume)
  }

  /** Set once nothing can be published here any more. */
  get lost(): DriverError | undefined {
    return this.#lost
  }

  /** Never rejects. On abort it ends at once; what was written may still be stored. */
  publish(items: Publishing, signal: AbortSignal | undefined, preparation?: Promise<void>): Promise<readonly Failure[]> {
    return new Promise((resolve) => {
      const abort = (): void => this.#abort(batch)
      const batch: Batch = {
        items,
        failures: [],
        prepared: preparation === undefined,
        left: items.size,
        written: new Uint8Array(items.size),
        resolve: (failures) => {
          signal?.removeEventListener('abort', abort)
          resolve(failures)
        },
      }
      this.#unwritten.push(batch)
      signal?.addEventListener('abort', abort, { once: true })
      if (signal?.aborted) return abort()
      if (this.#lost) return this.#end()
      const goOn = (): void => {
        batch.prepared = true
        this.#pump()
      }
      if (preparation) preparation.then(goOn, goOn)
      else this.#pump()
    })
  }

  async close(): Promise<void> {
    this.#session.model.off('unblocked', this.#resume)
    await this.#channel.close()
  }

  #pump(): void {
    while (!this.#full && !this.#lost && this.#session.blocked === undefined) {
      const batch = this.#unwritten[0]
      if (!batch?.prepared) return
      this.#unwritten.shift()
      this.#live.add(batch)
      for (let index = 0; index < batch.items.size; index++) this.#write(batch, index)
    }
  }

  #write(batch: Batch, index: number): void {
    try {
      const room = batch.items.write(this.#channel, index, (error) => this.#confirmed(batch, index, error))
      batch.written[index] = 1
      if (!room) this.#full = true
    } catch (error) {
      this.#settled(batch, index, error)
    }
  }

  #confirmed(batch: Batch, index: number, error: unknown): void {
    if (error === null) return this.#settled(batch, index, undefined)
    // A full queue refuses so. It went to one queue, so no other one has it.
    if (error instanceof Error && error.message === 'message nacked')
      return this.#settled(batch, index, refused())
    return this.#settled(batch, index, this.#lossOf(batch, index))
  }

  #settled(batch: Batch, index: number, error: unknown): void {
    if (error !== undefined) batch.failures.push({ index, error })
    if (--batch.left > 0) return
    if (this.#returned.size > 0) this.#sortReturned(batch)
    this.#live.delete(batch)
    batch.resolve(batch.failures)
  }
