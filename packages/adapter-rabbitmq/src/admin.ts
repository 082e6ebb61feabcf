import type { Admin, Drift, QueueStats, Source, Topology } from '@msgloop/core/driver'
import type { Session } from './connection.js'
import { classify } from './errors.js'
import {
  adopt,
  type BrokerObject,
  driftError,
  driftOf,
  type Inequivalence,
  inequivalence,
  type Settings,
} from './objects.js'
import { bind, checked, objectsOf, remove } from './topology.js'

export class RabbitmqAdmin implements Admin {
  readonly #open: (signal: AbortSignal) => Promise<Session>

  constructor(open: (signal: AbortSignal) => Promise<Session>) {
    this.#open = open
  }

  async declare(topology: Topology, signal: AbortSignal): Promise<void> {
    const objects = objectsOf(checked(topology))
    const session = await this.#open(signal)
    let declaring: BrokerObject | undefined
    try {
      await session.scratch(async (channel) => {
        // Before anything is made that would be in the way of declaring it for another topic.
        if (topology.kind === 'subscription') await channel.checkExchange(topology.topic)
        for (const object of objects) {
          declaring = object
          await object.assert(channel, object.settings)
        }
        await bind(channel, topology)
      }, signal)
    } catch (error) {
      const found = inequivalence(error)
      throw found && declaring ? driftError(declaring, found, error) : error
    }
  }

  async verify(topology: Topology, signal: AbortSignal): Promise<readonly Drift[]> {
    const objects = objectsOf(checked(topology))
    const session = await this.#open(signal)
    const drifts: Drift[] = []
    for (const object of objects) drifts.push(...(await compare(session, object, signal)))
    return drifts
  }

  async stats(source: Source, signal: AbortSignal): Promise<QueueStats> {
    const { name } = checked(source)
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
    const { name } = checked(source)
    const session = await this.#open(signal)
    return (await session.scratch((channel) => channel.purgeQueue(name), signal)).messageCount
  }

  async delete(topology: Topology, signal: AbortSignal): Promise<void> {
    checked(topology)
    const session = await this.#open(signal)
    await session.scratch((channel) => remove(channel, topology), signal)
    session.forgetDelays()
  }
}

/**
 * Declares what is there again, which changes nothing: the broker agrees, or names one field that differs.
 * Adopting its value uncovers the next. Bindings are left out: AMQP can make one, not look for one.
 */
async function compare(
  session: Session,
  object: BrokerObject,
  signal: AbortSignal,
): Promise<readonly Drift[]> {
  const { label } = object
  const found = new Map<string, Inequivalence>()
  const drifts = (): Drift[] => [...found.values()].map((each) => driftOf(object, each))
  let settings: Settings | undefined = object.settings
  while (settings) {
    const assumed: Settings = settings
    try {
      await session.scratch(async (channel) => {
        await object.check(channel)
        await object.assert(channel, assumed)
      }, signal)
      return drifts()
    } catch (error) {
      const next = inequivalence(error)
      const { code } = classify(error)
      if (code === 'NOT_FOUND') return [{ object: label, expected: 'exists', actual: 'missing' }]
      if (code === 'DENIED') return [...drifts(), { object: label, ...UNREADABLE }]
      if (!next) throw error
      settings = adopt(assumed, next)
      // The same again: its text was misread, and there is nothing more to learn.
      if (found.get(next.field)?.actual === next.actual) return drifts()
      found.set(next.field, next)
    }
  }
  return drifts()
}

/** Who may use an object but not configure it is not told how it was declared. */
const UNREADABLE = {
  field: 'settings',
  expected: 'as declared',
  actual: 'unknown: no permission to configure',
}
