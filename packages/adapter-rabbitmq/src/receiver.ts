import { setMaxListeners } from 'node:events'
import {
  type Delivery,
  DriverError,
  type Failure,
  PushBuffer,
  type Receiver,
  type ReceiverOptions,
  type Settlement,
  sleep,
  systemClock,
  type Verdict,
} from '@msgloop/core/driver'
import type { Channel, ConsumeMessage } from 'amqplib'
import { briefly, type Session } from './connection.js'
import { lostError, untilAborted } from './errors.js'
import type { Publisher } from './publisher.js'
import { prepare, publishTo } from './sender.js'
import { copyOf, decode } from './wire.js'

/** Opens, or finds open, what copies go out through. */
export type Copies = () => Promise<Publisher>

/** A delivery, and the receiver on whose channel alone its tag means something. */
class Token {
  readonly owner: RabbitmqReceiver
  readonly message: ConsumeMessage
  /** Settled, or being settled. */
  settled = false

  constructor(owner: RabbitmqReceiver, message: ConsumeMessage) {
    this.owner = owner
    this.message = message
  }
}

interface Answer {
  readonly index: number
  readonly token: Token
}

interface Copy {
  readonly index: number
  readonly token: Token
  readonly verdict: Extract<Verdict, { kind: 'retry' | 'move' }>
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

/** One consumer on a channel of its own. When the channel ends, so do its delivery tags and this receiver. */
export class RabbitmqReceiver implements Receiver<Token> {
  readonly #session: Session
  readonly #channel: Channel
  readonly #queue: string
  readonly #onLost: (error: unknown) => void
  readonly #copies: Copies
  readonly #inbox = new PushBuffer<Token>(systemClock)
  /** Aborts what is under way for deliveries that are no longer ours. */
  readonly #gone = new AbortController()
  /** What the broker waits for an answer to, in the order of delivery. */
  readonly #outstanding = new Set<Token>()
  #consumerTag = ''
  /** By the clock's `elapsed`. */
  #answeredAt = Number.NEGATIVE_INFINITY
  /** Answers in separate frames, each within `LINGER_MS` of the one before. */
  #burst = 0
  #cause: unknown
  #lost: DriverError | undefined
  /** Whether anybody wants to hear of a loss: not before it is open, nor once it is being closed. */
  #reporting = false
  #cancelled = false
  #stopping: Promise<boolean> | undefined
  #closing: Promise<void> | undefined

  static async open(
    session: Session,
    queue: string,
    options: ReceiverOptions,
    copies: Copies,
    signal: AbortSignal,
  ): Promise<RabbitmqReceiver> {
    const channel = await session.channel(signal)
    const receiver = new RabbitmqReceiver(session, channel, queue, options.onLost, copies)
    try {
      await untilAborted(receiver.#consume(options), signal)
      if (receiver.#lost) throw receiver.#lost
      receiver.#reporting = true
      return receiver
    } catch (error) {
      channel.close().catch(() => {})
      throw error
    }
  }

  private constructor(
    session: Session,
    channel: Channel,
    queue: string,
    onLost: (error: unknown) => void,
    copies: Copies,
  ) {
    this.#session = session
    this.#channel = channel
    // Each settle under way listens; more than ten are no leak.
    setMaxListeners(0, this.#gone.signal)
    this.#queue = queue
    this.#onLost = onLost
    this.#copies = copies
    channel.on('error', (error) => {
      this.#cause = error
    })
    channel.on('close', () => this.#end())
  }

  async receive(max: number, waitMs: number, signal: AbortSignal): Promise<readonly Delivery<Token>[]> {
    const tokens = await this.#inbox.take(max, waitMs, signal)
    return tokens.map((token) => ({ ...decode(token.message), token, native: token.message }))
  }

  async settle(batch: readonly Settlement<Token>[], signal?: AbortSignal): Promise<readonly Failure[]> {
    const failures: Failure[] = []
    const copies: Copy[] = []
    const acks: Answer[] = []
    for (const [index, { token, verdict }] of batch.entries()) {
      if (token.settled) continue
      if (verdict.kind === 'retry' || verdict.kind === 'move') {
        if (this.#owns(token)) copies.push({ index, token, verdict })
        else failures.push({ index, error: this.#leaseLost() })
      } else if (verdict.kind === 'ack') acks.push({ index, token })
      // One by one: 3.10 puts many given back in one frame in any order.
      else if (!this.#answer(token, 'release')) failures.push({ index, error: this.#leaseLost() })
    }
    this.#ackAll(acks, failures)
    return copies.length === 0 ? failures : [...failures, ...(await this.#replace(copies, signal))]
  }

  async stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    await this.#stopping
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #consume(options: ReceiverOptions): Promise<void> {
    await this.#channel.prefetch(Math.min(options.prefetch, MOST_PREFETCH), false)
    const { consumerTag } = await this.#channel.consume(this.#queue, (message) => this.#arrived(message), {
      // At most 255 bytes; unique as it is alone on its channel.
      consumerTag: options.consumer.slice(0, 80),
    })
    this.#consumerTag = consumerTag
  }

  /** Must not throw: amqplib closes the channel over it. */
  #arrived(message: ConsumeMessage | null): void {
    if (message) {
      const token = new Token(this, message)
      this.#outstanding.add(token)
      if (this.#cancelled) this.#answer(token, 'release')
      else this.#inbox.push(token)
    } else
      this.#inbox.end(
        new DriverError(
          'NOT_FOUND',
          `rabbitmq: the broker cancelled the consumer of queue "${this.#queue}": the queue was deleted, or a delivery stayed unsettled for longer than the broker's consumer timeout`,
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

  /** False when the delivery is no longer ours. */
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
  async #replace(copies: readonly Copy[], signal: AbortSignal | undefined): Promise<readonly Failure[]> {
    for (const { token } of copies) token.settled = true
    // Either the time is up, or the originals are no longer ours.
    const stop = new AbortController()
    const abort = (): void => stop.abort()
    for (const each of [signal, this.#gone.signal]) each?.addEventListener('abort', abort)
    if (signal?.aborted || this.#lost) abort()
    const failed = new Map<number, unknown>()
    try {
      for (const { index, error } of await this.#publish(copies, stop.signal)) failed.set(index, error)
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

  async #publish(copies: readonly Copy[], signal: AbortSignal): Promise<readonly Failure[]> {
    const publisher = await untilAborted(this.#copies(), signal)
    const delayOf = ({ verdict }: Copy): number => (verdict.kind === 'retry' ? verdict.delayMs : 0)
    let unprepared: unknown
    const preparation = prepare(publisher.session, this.#queue, Math.max(...copies.map(delayOf)))?.catch(
      (error: unknown) => {
        unprepared = error
      },
    )
    const queue = this.#queue
    const now = Date.now()
    const properties = copies.map(({ token, verdict }) => {
      const expiry = verdict.kind === 'move' ? 'none' : verdict.delayMs > 0 ? 'header' : 'direct'
      return copyOf(token.message, verdict.headers, expiry, now)
    })
    const at = (index: number): Copy => copies[index] as Copy
    return publisher.publish(
      {
        size: copies.length,
        id: (index) => String(properties[index]?.messageId),
        bodyBytes: (index) => at(index).token.message.content.byteLength,
        write(channel, index, confirmed) {
          const copy = at(index)
          const delayMs = delayOf(copy)
          if (delayMs > 0 && unprepared !== undefined) throw unprepared
          const to = copy.verdict.kind === 'move' ? copy.verdict.to : queue
          return publishTo(
            channel,
            to,
            delayMs,
            copy.token.message.content,
            properties[index] ?? {},
            confirmed,
          )
        },
      },
      signal,
      preparation,
    )
  }

  /** Resolves with whether the broker answers at all. */
  async #stop(): Promise<boolean> {
    // First no new ones: what is given back while consuming would come right back here.
    const answered = await briefly(this.#channel.cancel(this.#consumerTag))
    this.#cancelled = true
    for (const token of this.#inbox.drain()) this.#answer(token, 'release')
    return answered
  }

  async #close(): Promise<void> {
    this.#reporting = false
    // Not cancelled first: what is on its way to a consumer that is gone is given back before what it
    // holds, while a channel that ends gives everything back in the order of its delivery.
    const answers = (await this.#stopping) ?? true
    if (answers) await this.#linger()
    const closed = briefly(this.#channel.close())
    if (answers) await closed
    this.#end()
  }

  #end(): void {
    if (this.#lost) return
    const lost =
      this.#session.lost ?? lostError(`rabbitmq: the consumer of queue "${this.#queue}"`, this.#cause)
    this.#lost = lost
    this.#gone.abort(lost)
    this.#inbox.drain()
    this.#inbox.end(lost)
    if (this.#reporting) this.#onLost(lost)
  }

  #leaseLost(): DriverError {
    const message = `rabbitmq: a delivery of queue "${this.#queue}" went back to the broker when its consumer was lost`
    return new DriverError('LEASE_LOST', message, { cause: this.#lost })
  }
}
