import type {
  Admin,
  BrowsePage,
  Delivery,
  Drift,
  QueueSpec,
  QueueStats,
  Source,
  Topology,
} from '@msgloop/core/driver'
import { DriverError } from '@msgloop/core/driver'
import type { JetStreamManager } from '@nats-io/jetstream'
import type { Connection } from './connection.js'
import { classify } from './errors.js'
import {
  asQueue,
  CONSUMER,
  consumerDrifts,
  consumerSettings,
  driftError,
  missing,
  streamDrifts,
  streamOf,
  streamSettings,
  subjectOf,
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
    const spec = asQueue(topology)
    const stream = this.#streamOf(spec)
    let [streamFound, consumerFound] = await this.#look(spec, signal)
    if (!streamFound) {
      const settings = { ...streamSettings(spec, this.#prefix), num_replicas: this.#replicas ?? 1 }
      const made = await this.#api(signal, (manager) => manager.streams.add(settings)).catch(onlyIf('DRIFT'))
      streamFound = made?.config ?? (await this.#look(spec, signal))[0]
    }
    const drifts = streamFound ? streamDrifts(spec, this.#prefix, this.#replicas, streamFound) : []
    if (drifts.length > 0) throw driftError(spec.name, drifts)
    if (!consumerFound) {
      const settings = consumerSettings(spec)
      const made = await this.#api(signal, (manager) => manager.consumers.add(stream, settings)).catch(
        onlyIf('DRIFT'),
      )
      consumerFound = made?.config ?? (await this.#look(spec, signal))[1]
    }
    // Another consumer is in the way: a work queue has one.
    if (!consumerFound) throw driftError(spec.name, [missing(`consumer of queue "${spec.name}"`, CONSUMER)])
    const others = consumerDrifts(spec, consumerFound)
    if (others.length > 0) throw driftError(spec.name, others)
  }

  async verify(topology: Topology, signal: AbortSignal): Promise<readonly Drift[]> {
    const spec = asQueue(topology)
    const [stream, consumer] = await this.#look(spec, signal)
    if (!stream) return [missing(`queue "${spec.name}"`, 'a stream')]
    return [
      ...streamDrifts(spec, this.#prefix, this.#replicas, stream),
      ...(consumer
        ? consumerDrifts(spec, consumer)
        : [missing(`consumer of queue "${spec.name}"`, CONSUMER)]),
    ]
  }

  async stats(source: Source, signal: AbortSignal): Promise<QueueStats> {
    const { state, ts } = await this.#api(signal, (manager) =>
      manager.streams.info(this.#streamOf(asQueue(source))),
    )
    // Servers before 2.10 do not tell the time.
    const now = ts === undefined ? Date.now() : Date.parse(ts)
    return {
      ready: undefined,
      inFlight: undefined,
      delayed: undefined,
      dead: undefined,
      oldestAgeMs: state.messages === 0 ? 0 : Math.max(0, now - Date.parse(state.first_ts)),
      consumers: undefined,
    }
  }

  async browse(
    source: Source,
    limit: number,
    cursor: string | undefined,
    signal: AbortSignal,
  ): Promise<BrowsePage> {
    const spec = asQueue(source)
    const stream = this.#streamOf(spec)
    const subject = subjectOf(this.#prefix, spec.name)
    const entries: Delivery<undefined>[] = []
    let seq = positionOf(cursor)
    while (entries.length < limit) {
      const query = { seq, next_by_subj: subject }
      const found = await this.#api(signal, (manager) => manager.streams.getMessage(stream, query))
      if (!found) return { entries }
      const origin = originOfStored(stream, found.seq, found.timestamp)
      const native = { data: found.data, headers: found.header }
      const { message, attempt, deliveries, nativeDeath } = decode(native, origin)
      entries.push({
        token: undefined,
        message,
        attempt,
        deliveries,
        ...(nativeDeath && { nativeDeath }),
        native: found,
      })
      seq = found.seq + 1
    }
    return { entries, cursor: String(seq) }
  }

  async purge(source: Source, signal: AbortSignal): Promise<number> {
    const stream = this.#streamOf(asQueue(source))
    return (await this.#api(signal, (manager) => manager.streams.purge(stream))).purged
  }

  async delete(topology: Topology, signal: AbortSignal): Promise<void> {
    const stream = this.#streamOf(asQueue(topology))
    await this.#api(signal, (manager) => manager.streams.delete(stream)).catch(onlyIf('NOT_FOUND'))
  }

  #streamOf(spec: QueueSpec): string {
    return streamOf(this.#prefix, spec.name)
  }

  /** The settings of the stream and its consumer, as far as they exist. */
  async #look(spec: QueueSpec, signal: AbortSignal) {
    const name = this.#streamOf(spec)
    const session = await this.#connection.open(signal)
    const [stream, consumer] = await Promise.all([
      session.api((manager) => manager.streams.info(name), signal).catch(onlyIf('NOT_FOUND')),
      session.api((manager) => manager.consumers.info(name, CONSUMER), signal).catch(onlyIf('NOT_FOUND')),
    ])
    return [stream && { ...stream.config }, consumer && { ...consumer.config }] as const
  }

  async #api<T>(signal: AbortSignal, call: (manager: JetStreamManager) => Promise<T>): Promise<T> {
    return (await this.#connection.open(signal)).api(call, signal)
  }
}

/** Lets one kind of error be no error. */
const onlyIf =
  (code: 'NOT_FOUND' | 'DRIFT') =>
  (error: unknown): undefined => {
    if (classify(error).code !== code) throw error
  }

function positionOf(cursor: string | undefined): number {
  if (cursor === undefined) return 1
  if (/^[1-9]\d{0,15}$/.test(cursor)) return Number(cursor)
  throw new DriverError('INVALID', `nats: ${JSON.stringify(cursor)} is not a cursor that browse returned`)
}
