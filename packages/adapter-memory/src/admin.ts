import type { Admin, BrowsePage, QueueStats, Source, SubscriptionSpec } from '@msgloop/core/driver'
import { DriverError } from '@msgloop/core/driver'
import type { Connection } from './connection.js'
import { drifts, missing } from './drift.js'
import type { QueueState } from './queue-state.js'
import { deliver } from './receiver.js'

/** Topology and inspection of one broker. `browse` is there where the broker can look without taking. */
export function memoryAdmin(connection: Connection): Admin {
  const { broker } = connection
  const { capabilities } = broker.profile
  const isBound = ({ topic, name }: SubscriptionSpec): boolean => broker.topic(topic)?.isBound(name) ?? false
  return {
    async declare(topology, signal) {
      connection.check(signal)
      if (topology.kind === 'topic') return broker.createTopic(topology.name)
      checkSpec(topology, capabilities.dedupWindowMs)
      const { name } = topology
      const queue = broker.queue(name)
      if (!queue) return broker.create(topology)
      const differences = drifts(topology, queue.spec).map(
        (d) => `${d.field} is ${d.actual}, not ${d.expected}`,
      )
      if (differences.length > 0)
        throw new DriverError(
          'DRIFT',
          `queue "${name}" exists with other settings: ${differences.join('; ')}`,
          {
            outcome: 'rejected',
          },
        )
      broker.bind(queue)
    },
    async verify(topology, signal) {
      connection.check(signal)
      if (topology.kind === 'topic')
        return broker.topic(topology.name) ? [] : [missing(`topic "${topology.name}"`)]
      const found = drifts(topology, broker.queue(topology.name)?.spec)
      return found.length === 0 && topology.kind === 'subscription' && !isBound(topology)
        ? [missing(`binding of queue "${topology.name}" to topic "${topology.topic}"`)]
        : found
    },
    async stats(source, signal) {
      connection.check(signal)
      const all = stats(broker.existing(source.name), broker.clock.now())
      const told = (field: keyof QueueStats): number | undefined =>
        capabilities.stats.includes(field) ? all[field] : undefined
      return {
        ready: told('ready'),
        inFlight: told('inFlight'),
        delayed: told('delayed'),
        dead: undefined,
        oldestAgeMs: told('oldestAgeMs'),
        consumers: told('consumers'),
      }
    },
    async purge(source, signal) {
      connection.check(signal)
      return broker.existing(source.name).purge(capabilities.purgesDelayed)
    },
    async delete(topology, signal) {
      connection.check(signal)
      broker.delete(topology)
    },
    ...(capabilities.browse === 'free' && {
      async browse(source: Source, limit: number, cursor: string | undefined, signal: AbortSignal) {
        connection.check(signal)
        const queue = broker.existing(source.name)
        return page(queue, limit, position(cursor), capabilities.retry === 'in-place')
      },
    }),
  }
}

function checkSpec(spec: Source, dedupWindowMs: number): void {
  const at = `queue "${spec.name}"`
  if (spec.dedupWindowMs > dedupWindowMs)
    throw unsupported(
      `${at}: a dedup window of ${spec.dedupWindowMs} ms; at most ${dedupWindowMs} ms is possible here`,
    )
}

function unsupported(message: string): DriverError {
  return new DriverError('UNSUPPORTED', message, { outcome: 'rejected' })
}

/** Walks the queue for the oldest: the first stored need not be, as delays differ. */
function stats(queue: QueueState, now: number): QueueStats {
  let oldest = now
  for (const stored of queue.messages()) if (!stored.delayed) oldest = Math.min(oldest, stored.since)
  return {
    ready: queue.ready,
    inFlight: queue.inFlight,
    delayed: queue.delayed,
    dead: undefined,
    oldestAgeMs: now - oldest,
    consumers: queue.consumers,
  }
}

function page(queue: QueueState, limit: number, from: number, inPlace: boolean): BrowsePage {
  const entries: BrowsePage['entries'][number][] = []
  for (const stored of queue.messages(from)) {
    if (entries.length >= limit) return { entries, cursor: String(stored.order) }
    entries.push(deliver(undefined, stored, inPlace))
  }
  return { entries }
}

function position(cursor: string | undefined): number {
  if (cursor === undefined) return 0
  if (/^\d{1,15}$/.test(cursor)) return Number(cursor)
  throw new DriverError('INVALID', `${JSON.stringify(cursor)} is not a cursor that browse returned`)
}
