import { setMaxListeners } from 'node:events'
import {
  briefly,
  DriverError,
  type Failure,
  lostError,
  type ReceiverOptions,
  type Settlement,
  sleep,
  systemClock,
  untilAborted,
} from '@msgloop/core/driver'
import type { Channel, ConsumeMessage } from 'amqplib'
import type { Session } from './connection.js'
import { type Copies, type Copy, publishCopies } from './copies.js'
import { Token } from './token.js'

/** What becomes of a consumer, told to whoever opened it. Must not throw: amqplib closes the channel over it. */
export interface ConsumerEvents {
  arrived(token: Token): void
  /** Nothing arrives any more; what arrived can still be settled. */
  cancelled(error: DriverError): void
  /** Nothing can be settled any more. Called once, also after `close`. */
  ended(error: DriverError): void
}

/**
 * A channel puts answers to a quorum queue aside while 32 commands are under way, and drops them when it
 * is closed: what was acked would come again. Nothing in AMQP tells when they are through.
 * Measured on 4.0.5: of 200 single acks before a close 34 took effect, 200 when it waited 300 ms.
 */
const PUT_ASIDE = 24
const LINGER_MS = 600

/** The largest number a prefetch count can be. */
const MOST_PREFETCH = 65_535

export interface ChannelOptions extends Pick<ReceiverOptions, 'prefetch' | 'consumer'> {
  /**
   * What is released goes back when the channel is closed, with all else and in the order of its delivery. Given back
   * while consuming it would come again behind what was pushed meanwhile. Default false.
   */
  readonly returnsOnClose?: boolean
}

/** One consumer on a channel of its own. When the channel ends, so do its delivery tags. */
export class ConsumerChannel {
  readonly queue: string
  readonly #session: Session
  readonly #channel: Channel
  readonly #events: ConsumerEvents
  readonly #copies: Copies
  /** Aborts what is under way for deliveries that are no longer ours. */
  readonly #gone = new AbortController()
  /** What the broker waits for an answer to, in the order of delivery. */
  readonly #outstanding = new Set<Token>()
  #returnsOnClose = false
  #prefetch = 0
  #consumerTag = ''
  /** By the clock's `elapsed`. */
  #answeredAt = Number.NEGATIVE_INFINITY
  /** Answers in separate frames, each within `LINGER_MS` of the one before. */
  #burst = 0
  #cause: unknown
  #lost: DriverError | undefined
  #cancelling: Promise<boolean> | undefined
  #closing: Promise<void> | undefined
  #cancelled = false

  static async open(
    session: Session,
    queue: string,
    options: ChannelOptions,
    copies: Copies,
    events: ConsumerEvents,
    signal?: AbortSignal,
  ): Promise<ConsumerChannel> {
    const channel = await session.channel(signal)
    const consumer = new ConsumerChannel(session, channel, queue, copies, events)
    consumer.#returnsOnClose = options.returnsOnClose ?? false
    try {
      await untilAborted(consumer.#consume(options), signal)
      if (consumer.#lost) throw consumer.#lost
      return consumer
    } catch (error) {
      channel.close().catch(() => {})
      throw error
    }
  }

  private constructor(
    session: Session,
    channel: Channel,
    queue: string,
    copies: Copies,
    events: ConsumerEvents,
  ) {
    this.#session = session
    this.#channel = channel
    // Each settle under way listens; more than ten are no leak.
    setMaxListeners(0, this.#gone.signal)
    this.queue = queue
    this.#events = events
    this.#copies = copies
    channel.on('error', (error) => {
      this.#cause = error
    })
    channel.on('close', () => this.#end())
  }

  /** The broker may push no more before something is settled. */
  get full(): boolean {
    return this.#outstanding.size >= this.#prefetch
  }

  /** Being closed, or closed, by `close`. */
  get closing(): boolean {
    return this.#closing !== undefined
  }

  async settle(batch: readonly Settlement<Token>[], signal?: AbortSignal): Promise<readonly Failure[]> {
    const failures: Failure[] = []
    const copies: (Copy & Answer)[] = []
    const acks: Answer[] = []
    for (const [index, { token, verdict }] of batch.entries()) {
      if (token.settled) continue
      if (verdict.kind === 'retry' || verdict.kind === 'move') {
        if (this.#owns(token)) copies.push({ index, token, verdict })
        else failures.push({ index, error: this.#leaseLost() })
      } else if (verdict.kind === 'ack') acks.push({ index, token })
      // One by one: 3.10 puts many given back in one frame in any order.
      else if (!this.release(token)) failures.push({ index, error: this.#leaseLost() })
    }
    this.#ackAll(acks, failures)
    return copies.length === 0 ? failures : [...failures, ...(await this.#replace(copies, signal))]
  }

  /** False when the delivery is no longer ours. */
  release(token: Token): boolean {
    if (!this.#returnsOnClose) return this.#answer(token, 'release')
    if (!this.#owns(token)) return false
    token.settled = true
    return true
  }

  /** Ends the flow of deliveries; what still comes is given back. Resolves with whether the broker answers at all. */
  cancel(): Promise<boolean> {
    // First no new ones: what is given back while consuming would come right back here.
    this.#cancelling ??= briefly(this.#channel.cancel(this.#consumerTag)).then((answered) => {
      this.#cancelled = true
      return answered
    })
    return this.#cancelling
  }

  /**
   * Gives back all that is not settled, in the order of its delivery. Not cancelled first: what is on its way to
   * a consumer that is gone is given back before what it holds.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const answers = (await this.#cancelling) ?? true
    if (answers) await this.#linger()
    const closed = briefly(this.#channel.close())
    if (answers) await closed
    this.#end()
  }

  async #consume(options: ChannelOptions): Promise<void> {
    this.#prefetch = Math.min(options.prefetch, MOST_PREFETCH)
    await this.#channel.prefetch(this.#prefetch, false)
    const { consumerTag } = await this.#channel.consume(this.queue, (message) => this.#arrived(message), {
      // At most 255 bytes; unique as it is alone on its channel.
      consumerTag: options.consumer.slice(0, 80),
    })
    this.#consumerTag = consumerTag
  }

  #arrived(message: ConsumeMessage | null): void {
    if (message) {
      const token = new Token(this, message)
      this.#outstanding.add(token)
      if (this.#cancelled) this.release(token)
      else this.#events.arrived(token)
    } else
      this.#events.cancelled(
        new DriverError(
          'NOT_FOUND',
          `rabbitmq: the broker cancelled the consumer of queue "${this.queue}": the queue was deleted, or a delivery stayed unsettled for longer than the broker's consumer timeout`,
          { retryable: true },
        ),
      )
  }

  #owns(token: Token): boolean {
    return token.owner === this && !this.#lost
  }

  /**
   * Acks many in few frames: a run that begins with the oldest delivery the broker waits for is one
   * "all up to here". Only a tag of that run is named, so it can reach nothing that is not acked here.
   */
  #ackAll(acks: readonly Answer[], failures: Failure[]): void {
    if (acks.length === 0) return
    const acked = new Set(acks.map(({ token }) => token))
    const run: Token[] = []
    for (const token of this.#outstanding) {
      if (!acked.has(token)) break
      run.push(token)
    }
    const last = run.at(-1)
    if (last && this.#answer(last, 'ack', true))
      for (const token of run) {
        token.settled = true
        this.#outstanding.delete(token)
      }
    for (const { index, token } of acks)
      if (!token.settled && !this.#answer(token, 'ack')) failures.push({ index, error: this.#leaseLost() })
  }

  #answer(token: Token, kind: 'ack' | 'release', allUpTo = false): boolean {
    if (!this.#owns(token)) return false
    try {
      if (kind === 'ack') this.#channel.ack(token.message, allUpTo)
      else this.#channel.nack(token.message, false, true)
      this.#noteAnswer()
      token.settled = true
      this.#outstanding.delete(token)
      return true
    } catch {
      return false
    }
  }

  #noteAnswer(): void {
    const now = systemClock.elapsed()
    this.#burst = now - this.#answeredAt > LINGER_MS ? 1 : this.#burst + 1
    this.#answeredAt = now
  }

  /** Gives the broker time to carry out the answers it has only put aside. */
  async #linger(): Promise<void> {
    const left = this.#answeredAt + LINGER_MS - systemClock.elapsed()
    if (this.#burst >= PUT_ASIDE && left > 0 && !this.#lost) await sleep(systemClock, left, this.#gone.signal)
  }

  /** Stores copies, waits for the broker to confirm them, then acks the originals. */
  async #replace(
    copies: readonly (Copy & Answer)[],
    signal: AbortSignal | undefined,
  ): Promise<readonly Failure[]> {
    for (const { token } of copies) token.settled = true
    // Either the time is up, or the originals are no longer ours.
    const stop = new AbortController()
    const abort = (): void => stop.abort()
    for (const each of [signal, this.#gone.signal]) each?.addEventListener('abort', abort)
    if (signal?.aborted || this.#lost) abort()
    const failed = new Map<number, unknown>()
    try {
      const unconfirmed = await publishCopies(this.#copies, this.queue, copies, stop.signal)
      for (const { index, error } of unconfirmed) failed.set(index, error)
    } catch (error) {
      for (const index of copies.keys()) failed.set(index, error)
    }
    for (const each of [signal, this.#gone.signal]) each?.removeEventListener('abort', abort)
    const failures: Failure[] = []
    for (const [at, { index, token }] of copies.entries()) {
      token.settled = false
      if (failed.has(at)) failures.push({ index, error: this.#lost ? this.#leaseLost() : failed.get(at) })
      else if (!this.#answer(token, 'ack')) failures.push({ index, error: this.#leaseLost() })
    }
    return failures
  }

  #end(): void {
    if (this.#lost) return
    const lost =
      this.#session.lost ?? lostError(`rabbitmq: the consumer of queue "${this.queue}"`, this.#cause)
    this.#lost = lost
    this.#gone.abort(lost)
    this.#events.ended(lost)
  }

  #leaseLost(): DriverError {
    const message = `rabbitmq: a delivery of queue "${this.queue}" went back to the broker when its consumer was lost`
    return new DriverError('LEASE_LOST', message, { cause: this.#lost })
  }
}

interface Answer {
  readonly index: number
  readonly token: Token
}
