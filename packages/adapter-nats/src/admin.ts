import type {
  Admin,
  BrowsePage,
  Delivery,
  Drift,
  QueueStats,
  Source,
  SubscriptionSpec,
  Topology,
} from '@msgloop/core/driver'
import { DriverError } from '@msgloop/core/driver'
import type { JetStreamManager, StoredMsg } from '@nats-io/jetstream'
import type { Connection } from './connection.js'
import { classify } from './errors.js'
import { streamOf, token, topicStreamOf } from './names.js'
import { type Outlet, outletsOf, subjectFrom } from './outlets.js'
import { messageFrom, type Shelf, shelvesOf } from './shelves.js'
import {
  checked,
  consumerDrifts,
  consumerName,
  consumerSettings,
  driftError,
  missing,
  type Settings,
  shownName,
  streamDrifts,
  streamSettings,
} from './topology.js'
import type { Target } from './url.js'
import { decode, originOfStored } from './wire.js'

export class NatsAdmin implements Admin {
  readonly #connection: Connection
  readonly #prefix: string
  readonly #replicas: number | undefined

  constructor(connection: Connection, { prefix, replicas }: Target) {
    this.#connection = connection
    this.#prefix = prefix
    this.#replicas = replicas
  }

  /** Looks first: who may use a queue need not be allowed to make one. */
  async declare(topology: Topology, signal: AbortSignal): Promise<void> {
    checked(topology)
    if (topology.kind === 'subscription')
      // Before anything is made that would be of no use without it.
      await this.#api(signal, ({ streams }) => streams.info(topicStreamOf(this.#prefix, topology.topic)))
    const stream = await this.#made(
      () => this.#stream(topology, signal),
      (manager) =>
        manager.streams.add({
          ...streamSettings(topology, this.#prefix),
          num_replicas: this.#replicas ?? 1,
        }),
      signal,
    )
    const drifts = stream ? streamDrifts(topology, this.#prefix, this.#replicas, stream) : []
    if (drifts.length > 0) throw driftError(topology, drifts)
    if (topology.kind === 'topic') return
    await Promise.all(
      outletsOf(this.#prefix, topology).map((outlet) => this.#declareOutlet(topology, outlet, signal)),
    )
  }

  async #declareOutlet(source: Source, outlet: Outlet, signal: AbortSignal): Promise<void> {
    const found = await this.#made(
      () => this.#consumer(outlet, signal),
      (manager) => manager.consumers.add(outlet.stream, consumerSettings(outlet, source)),
      signal,
    )
    // Another consumer is in the way: those of a work queue share nothing.
    if (!found) throw driftError(source, [missing(consumerName(source, outlet), outlet.consumer)])
    const drifts = consumerDrifts(source, outlet, found)
    if (drifts.length > 0) throw driftError(source, drifts)
  }

  async verify(topology: Topology, signal: AbortSignal): Promise<readonly Drift[]> {
    checked(topology)
    const stream = await this.#stream(topology, signal)
    if (!stream) return [missing(shownName(topology), 'a stream')]
    const outlets = topology.kind === 'topic' ? [] : outletsOf(this.#prefix, topology)
    const drifts = await Promise.all(
      outlets.map(async (outlet) => {
        const source = topology as Source
        const found = await this.#consumer(outlet, signal)
        return found
          ? consumerDrifts(source, outlet, found)
          : [missing(consumerName(source, outlet), outlet.consumer)]
      }),
    )
    return [...streamDrifts(topology, this.#prefix, this.#replicas, stream), ...drifts.flat()]
  }

  async stats(source: Source, signal: AbortSignal): Promise<QueueStats> {
    const { ts } = await this.#api(signal, (manager) => manager.streams.info(this.#streamOf(source)))
    // Servers before 2.10 do not tell the time.
    const now = ts === undefined ? Date.now() : Date.parse(ts)
    const first = await Promise.all(
      this.#shelves(source).map((shelf) => this.#api(signal, (manager) => messageFrom(manager, shelf, 1))),
    )
    const ages = first.map((found) => (found ? now - found.time.getTime() : 0))
    return {
      ready: undefined,
      inFlight: undefined,
      delayed: undefined,
      dead: undefined,
      oldestAgeMs: Math.max(0, ...ages),
      consumers: undefined,
    }
  }

  async browse(
    source: Source,
    limit: number,
    cursor: string | undefined,
    signal: AbortSignal,
  ): Promise<BrowsePage> {
    const shelves = this.#shelves(source)
    let { at, sequence } = positionOf(cursor)
    const entries: Delivery<undefined>[] = []
    for (let shelf = shelves[at]; shelf && entries.length < limit; shelf = shelves[at]) {
      const here = shelf
      const found = await this.#api(signal, (manager) => messageFrom(manager, here, sequence))
      if (found) entries.push(entryOf(here, found))
      else at++
      sequence = found ? found.seq + 1 : 1
    }
    return at < shelves.length ? { entries, cursor: `${at}:${sequence}` } : { entries }
  }

  /** A subscription's part of a topic goes with its consumers, which are made afresh. */
  async purge(source: Source, signal: AbortSignal): Promise<number> {
    const own = await this.#api(signal, (manager) => manager.streams.purge(this.#streamOf(source)))
    let purged = own.purged
    for (const outlet of outletsOf(this.#prefix, source).filter(({ topic }) => topic))
      purged += await this.#api(signal, async ({ consumers }) => {
        const { num_pending, num_ack_pending } = await consumers.info(outlet.stream, outlet.consumer)
        if (num_pending + num_ack_pending === 0) return 0
        await consumers.delete(outlet.stream, outlet.consumer)
        await consumers.add(outlet.stream, consumerSettings(outlet, source))
        return num_pending + num_ack_pending
      })
    return purged
  }

  async delete(topology: Topology, signal: AbortSignal): Promise<void> {
    if (topology.kind === 'subscription') await this.#unbind(topology, signal)
    const stream = this.#streamOf(topology)
    await this.#api(signal, (manager) => manager.streams.delete(stream)).catch(onlyIf('NOT_FOUND'))
  }

  /** Whatever patterns it was declared with: what is left would keep what is published for ever. */
  async #unbind({ name, topic }: SubscriptionSpec, signal: AbortSignal): Promise<void> {
    const stream = topicStreamOf(this.#prefix, topic)
    const own = `${token(name.slice(topic.length + 1))}=`
    const bound = await this.#api(signal, async ({ consumers }) => {
      const found: string[] = []
      for await (const { name: consumer } of consumers.list(stream))
        if (consumer.startsWith(own)) found.push(consumer)
      return found
    }).catch(onlyIf('NOT_FOUND'))
    for (const consumer of bound ?? [])
      await this.#api(signal, (manager) => manager.consumers.delete(stream, consumer)).catch(
        onlyIf('NOT_FOUND'),
      )
  }

  #streamOf({ kind, name }: Topology): string {
    return kind === 'topic' ? topicStreamOf(this.#prefix, name) : streamOf(this.#prefix, name)
  }

  #shelves(source: Source): readonly Shelf[] {
    return shelvesOf(this.#prefix, source, outletsOf(this.#prefix, source))
  }

  /** What there is, or what is made of it. Nothing where something else is in the way. */
  async #made(
    look: () => Promise<Settings | undefined>,
    make: (manager: JetStreamManager) => Promise<{ readonly config: object }>,
    signal: AbortSignal,
  ): Promise<Settings | undefined> {
    const found = await look()
    if (found) return found
    const made = await this.#api(signal, make).catch(onlyIf('DRIFT'))
    return made ? { ...made.config } : await look()
  }

  #stream(topology: Topology, signal: AbortSignal): Promise<Settings | undefined> {
    return this.#settings(signal, ({ streams }) => streams.info(this.#streamOf(topology)))
  }

  #consumer({ stream, consumer }: Outlet, signal: AbortSignal): Promise<Settings | undefined> {
    return this.#settings(signal, ({ consumers }) => consumers.info(stream, consumer))
  }

  async #settings(
    signal: AbortSignal,
    ask: (manager: JetStreamManager) => Promise<{ readonly config: object }>,
  ): Promise<Settings | undefined> {
    const found = await this.#api(signal, ask).catch(onlyIf('NOT_FOUND'))
    return found && { ...found.config }
  }

  async #api<T>(signal: AbortSignal, call: (manager: JetStreamManager) => Promise<T>): Promise<T> {
    return (await this.#connection.open(signal)).api(call, signal)
  }
}

function entryOf({ stream, outlet }: Shelf, found: StoredMsg): Delivery<undefined> {
  const origin = originOfStored(stream, found.seq, found.timestamp)
  const subject = outlet && subjectFrom(outlet, found.subject)
  const native = { data: found.data, headers: found.header }
  const { message, attempt, deliveries, nativeDeath } = decode(native, origin, subject)
  return {
    token: undefined,
    message,
    attempt,
    deliveries,
    ...(nativeDeath && { nativeDeath }),
    native: found,
  }
}

/** Lets one kind of error be no error. */
const onlyIf =
  (code: 'NOT_FOUND' | 'DRIFT') =>
  (error: unknown): undefined => {
    if (classify(error).code !== code) throw error
  }

/** Which shelf, and where on it. */
function positionOf(cursor: string | undefined): { at: number; sequence: number } {
  if (cursor === undefined) return { at: 0, sequence: 1 }
  const [, at, sequence] = /^(\d{1,3}):([1-9]\d{0,15})$/.exec(cursor) ?? []
  if (at !== undefined && sequence !== undefined) return { at: Number(at), sequence: Number(sequence) }
  throw new DriverError('INVALID', `nats: ${JSON.stringify(cursor)} is not a cursor that browse returned`)
}
