import type { Admin, Drift, QueueSpec, QueueStats, Source, Topology } from '@msgloop/core/driver'
import type { Session } from './connection.js'
import { classify } from './errors.js'
import {
  adopt,
  asQueue,
  assertQueue,
  bindForDelays,
  driftError,
  driftOf,
  inequivalence,
  queueSettings,
  type Settings,
} from './topology.js'

export class RabbitmqAdmin implements Admin {
  readonly #open: (signal: AbortSignal) => Promise<Session>

  constructor(open: (signal: AbortSignal) => Promise<Session>) {
    this.#open = open
  }

  async declare(topology: Topology, signal: AbortSignal): Promise<void> {
    const spec = asQueue(topology)
    const session = await this.#open(signal)
    try {
      await session.scratch(async (channel) => {
        await assertQueue(channel, spec.name, queueSettings(spec))
        await bindForDelays(channel, spec.name)
      }, signal)
    } catch (error) {
      const found = inequivalence(error)
      throw found ? driftError(spec, found, error) : error
    }
  }

  async verify(topology: Topology, signal: AbortSignal): Promise<readonly Drift[]> {
    const spec = asQueue(topology)
    return compare(await this.#open(signal), spec, signal)
  }

  async stats(source: Source, signal: AbortSignal): Promise<QueueStats> {
    const { name } = asQueue(source)
    const session = await this.#open(signal)
    const found = await session.scratch((channel) => channel.checkQueue(name), signal)
    return {
      ready: found.messageCount,
      inFlight: undefined,
      delayed: undefined,
      dead: undefined,
      oldestAgeMs: undefined,
      consumers: found.consumerCount,
    }
  }

  /** Delayed messages stay: the delay queues are everybody's. */
  async purge(source: Source, signal: AbortSignal): Promise<number> {
    const { name } = asQueue(source)
    const session = await this.#open(signal)
    return (await session.scratch((channel) => channel.purgeQueue(name), signal)).messageCount
  }

  async delete(topology: Topology, signal: AbortSignal): Promise<void> {
    const { name } = asQueue(topology)
    const session = await this.#open(signal)
    await session.scratch((channel) => channel.deleteQueue(name), signal)
    session.forgetDelays()
  }
}

/**
 * Declares what is there again, which changes nothing: the broker agrees, or names one field that differs.
 * Adopting its value uncovers the next. Bindings are left out: AMQP can make one, not look for one.
 */
async function compare(session: Session, spec: QueueSpec, signal: AbortSignal): Promise<readonly Drift[]> {
  const object = `queue "${spec.name}"`
  const drifts: Drift[] = []
  let settings: Settings | undefined = queueSettings(spec)
  while (settings) {
    const assumed: Settings = settings
    try {
      await session.scratch(async (channel) => {
        await channel.checkQueue(spec.name)
        await assertQueue(channel, spec.name, assumed)
      }, signal)
      return drifts
    } catch (error) {
      const found = inequivalence(error)
      const { code } = classify(error)
      if (code === 'NOT_FOUND') return [{ object, expected: 'a queue', actual: 'missing' }]
      if (code === 'DENIED') return [...drifts, { object, ...UNREADABLE }]
      if (!found) throw error
      // The same field again: its text was misread, and there is nothing more to learn.
      if (drifts.some(({ field }) => field === found.field)) return drifts
      drifts.push(driftOf(spec, found))
      settings = adopt(settings, found)
    }
  }
  return drifts
}

/** Who may use a queue but not configure it is not told how it was declared. */
const UNREADABLE = {
  field: 'settings',
  expected: 'as declared',
  actual: 'unknown: no permission to configure',
}
