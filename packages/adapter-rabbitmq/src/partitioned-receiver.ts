import {
  type Delivery,
  DriverError,
  type Failure,
  ORDER_PARTITIONS,
  PushBuffer,
  type Receiver,
  type ReceiverOptions,
  type Settlement,
  type Source,
  systemClock,
  untilAborted,
} from '@msgloop/core/driver'
import type { Session } from './connection.js'
import { ConsumerChannel } from './consumer-channel.js'
import type { Copies } from './copies.js'
import { queuesOf } from './partitions.js'
import { deliveryOf, pushTime } from './receiver.js'
import type { Token } from './token.js'
import { Workers } from './workers.js'

/** One partition, as this receiver has it. */
interface Partition {
  readonly queue: string
  consumer: ConsumerChannel | undefined
  /** Deliveries that were received and are not settled. */
  readonly held: Set<Token>
  /** Something came: it is this receiver's turn here. */
  active: boolean
  /** No more is handed out; it is left as soon as nothing is held. */
  leaving: boolean
  /** Leaving, and queueing up again. */
  away: Promise<void> | undefined
}

/** Where partitions cannot be shared out evenly, the one too many goes round: each receiver keeps it for so long. */
const ROUND_MS = 10_000

/**
 * The messages of a queue with order by key: a consumer on each of its partitions, of which the broker makes one
 * at a time the active one. It gives a partition to whoever comes first, and keeps it there. So a receiver that is
 * active on more than its share leaves a partition when it holds nothing of it, and queues up behind the others.
 *
 * A partition is left by closing its channel: all that was pushed goes back before the next consumer's turn
 * begins. After a mere cancel the next one is given what comes later while the earlier is still held (measured on
 * 3.10.8, 4.0.5 and 4.3.6).
 */
export class PartitionedReceiver implements Receiver<Token> {
  readonly #session: Session
  readonly #options: ReceiverOptions
  readonly #copies: Copies
  readonly #workers: Workers
  readonly #inbox = new PushBuffer<Token>(systemClock)
  readonly #partitions: ReadonlyMap<string, Partition>
  #roundAt = systemClock.elapsed()
  /** Open, and neither lost nor closed. */
  #reporting = false
  #stopping: Promise<void> | undefined
  #closing: Promise<void> | undefined

  static async open(
    session: Session,
    source: Source,
    options: ReceiverOptions,
    copies: Copies,
    signal: AbortSignal,
  ): Promise<PartitionedReceiver> {
    const workers = await Workers.join(session, source.name, signal)
    const receiver = new PartitionedReceiver(session, source, options, copies, workers)
    try {
      const joining = [...receiver.#partitions.values()].map((each) => receiver.#join(each))
      await untilAborted(Promise.all(joining), signal)
      receiver.#reporting = true
      return receiver
    } catch (error) {
      void receiver.close()
      throw error
    }
  }

  private constructor(
    session: Session,
    source: Source,
    options: ReceiverOptions,
    copies: Copies,
    workers: Workers,
  ) {
    this.#session = session
    this.#options = options
    this.#copies = copies
    this.#workers = workers
    const fresh = (queue: string): Partition => ({
      queue,
      consumer: undefined,
      held: new Set(),
      active: false,
      leaving: false,
      away: undefined,
    })
    this.#partitions = new Map(queuesOf(source).map((queue) => [queue, fresh(queue)]))
  }

  async receive(max: number, waitMs: number, signal: AbortSignal): Promise<readonly Delivery<Token>[]> {
    const kept = await this.#take(max, waitMs, signal)
    if (kept.length > 0 || waitMs > 0 || signal.aborted) return kept.map(deliveryOf)
    const pushMs = await pushTime(this.#session, [...this.#partitions.keys()])
    return (await this.#take(max, pushMs, signal)).map(deliveryOf)
  }

  async settle(batch: readonly Settlement<Token>[], signal?: AbortSignal): Promise<readonly Failure[]> {
    const groups = new Map<ConsumerChannel, number[]>()
    for (const [index, { token }] of batch.entries()) {
      const group = groups.get(token.owner)
      if (group) group.push(index)
      else groups.set(token.owner, [index])
    }
    const settled = [...groups].map(async ([consumer, indexes]) => {
      const items = indexes.map((index) => batch[index] as Settlement<Token>)
      const failures = await consumer.settle(items, signal)
      this.#letGo(consumer.queue, items)
      return failures.map(({ index, error }) => ({ index: indexes[index] ?? 0, error }))
    })
    return (await Promise.all(settled)).flat()
  }

  /** Partitions of which something is held are left when that is settled. */
  stop(): Promise<void> {
    this.#stopping ??= (async () => {
      const all = [...this.#partitions.values()]
      for (const partition of all) this.#leave(partition)
      await Promise.all([...all.map(({ away }) => away), this.#workers.leave()])
    })()
    return this.#stopping
  }

  close(): Promise<void> {
    this.#reporting = false
    this.#closing ??= (async () => {
      const all = [...this.#partitions.values()]
      await Promise.all([
        ...all.map(({ consumer }) => consumer?.close()),
        ...all.map(({ away }) => away),
        this.#workers.leave(),
      ])
      this.#inbox.drain()
      this.#inbox.end(new DriverError('CLOSED', 'rabbitmq: the receiver was closed'))
    })()
    return this.#closing
  }

  async #join(partition: Partition): Promise<void> {
    const { prefetch, consumer: name } = this.#options
    let consumer: ConsumerChannel | undefined
    consumer = await ConsumerChannel.open(
      this.#session,
      partition.queue,
      { prefetch: Math.ceil(prefetch / ORDER_PARTITIONS), consumer: name, returnsOnClose: true },
      this.#copies,
      {
        arrived: (token) => this.#arrived(partition, token),
        cancelled: (error) => this.#inbox.end(error),
        ended: (lost) => {
          if (consumer && !consumer.closing) this.#fail(lost)
        },
      },
    )
    partition.consumer = consumer
    if (this.#stopping || this.#closing) await consumer.close()
  }

  #arrived(partition: Partition, token: Token): void {
    const isNew = !partition.active
    partition.active = true
    this.#inbox.push(token)
    const counting = this.#workers.refresh()
    if (counting) void counting.then(() => this.#share())
    else if (isNew) this.#share()
  }

  /** Leaves what is more than this receiver's share of the partitions. */
  #share(): void {
    if (this.#stopping || !this.#reporting) return
    const mine = [...this.#partitions.values()].filter(({ active, leaving }) => active && !leaving)
    const each = ORDER_PARTITIONS / this.#workers.count
    let keep = Math.ceil(each)
    const now = systemClock.elapsed()
    if (mine.length === keep && keep > each && now - this.#roundAt >= ROUND_MS) keep = Math.max(1, keep - 1)
    if (mine.length <= keep) return
    this.#roundAt = now
    mine.sort((a, b) => b.held.size - a.held.size)
    for (const partition of mine.slice(keep)) this.#leave(partition)
  }

  async #take(max: number, waitMs: number, signal: AbortSignal): Promise<readonly Token[]> {
    const until = systemClock.elapsed() + waitMs
    for (;;) {
      const tokens = await this.#inbox.take(max, until - systemClock.elapsed(), signal)
      const kept = tokens.filter((token) => this.#keep(token))
      if (kept.length > 0 || tokens.length === 0) return kept
    }
  }

  /** False for what goes back: its partition is being left. */
  #keep(token: Token): boolean {
    const partition = this.#partitions.get(token.owner.queue)
    if (!partition || partition.leaving || token.owner.closing) return false
    partition.held.add(token)
    return true
  }

  #letGo(queue: string, settled: readonly Settlement<Token>[]): void {
    const partition = this.#partitions.get(queue)
    if (!partition) return
    for (const { token } of settled) if (token.settled) partition.held.delete(token)
    // What is released goes back when the partition is left: nothing later of it is handed out before.
    if (partition.leaving || settled.some(({ verdict }) => verdict.kind === 'release')) this.#leave(partition)
  }

  #leave(partition: Partition): void {
    partition.leaving = true
    if (partition.held.size > 0 || partition.away) return
    partition.away = this.#queueUp(partition)
      .catch((error) => this.#fail(error))
      .finally(() => {
        partition.away = undefined
        // Pushed to before it was known to be back, it may have been told to leave again meanwhile.
        if (partition.leaving && !this.#stopping && !this.#closing) this.#leave(partition)
      })
  }

  /** Gives everything back, and waits for another turn. */
  async #queueUp(partition: Partition): Promise<void> {
    await partition.consumer?.close()
    if (this.#stopping || this.#closing) return
    partition.active = false
    partition.leaving = false
    await this.#join(partition)
  }

  /** What is lost of one partition is lost of all: the core opens another receiver. */
  #fail(error: unknown): void {
    this.#inbox.drain()
    this.#inbox.end(error)
    if (!this.#reporting) return
    void this.close()
    this.#options.onLost(error)
  }
}
