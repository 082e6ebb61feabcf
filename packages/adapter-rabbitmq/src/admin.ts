import {
  type Admin,
  type Drift,
  DriverError,
  type QueueStats,
  type Source,
  type Topology,
} from '@msgloop/core/driver'
import type { Replies } from 'amqplib'
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
import { queuesOf } from './partitions.js'
import { bind, checked, objectsOf, remove } from './topology.js'
import { countWorkers } from './workers.js'

export class RabbitmqAdmin implements Admin {
  readonly #open: (signal: AbortSignal) => Promise<Session>

  constructor(open: (signal: AbortSignal) => Promise<Session>) {
    this.#open = open
  }

  async declare(topology: Topology, signal: AbortSignal): Promise<void> {
    const objects = objectsOf(checked(topology))
    const session = await this.#open(signal)
    const [other] = await otherKind(session, topology, signal)
    if (other) throw orderError(other)
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
      if (!found || !declaring) throw error
      // What was declared took the room in which the broker tells what is there.
      const [told] = found.cut ? await compare(session, declaring, signal) : []
      throw driftError(told ?? driftOf(declaring, found), error)
    }
  }

  async verify(topology: Topology, signal: AbortSignal): Promise<readonly Drift[]> {
    const objects = objectsOf(checked(topology))
    const session = await this.#open(signal)
    const drifts = [...(await otherKind(session, topology, signal))]
    for (const object of objects) drifts.push(...(await compare(session, object, signal)))
    return drifts
  }

  async stats(source: Source, signal: AbortSignal): Promise<QueueStats> {
    const queues = queuesOf(checked(source))
    const session = await this.#open(signal)
    const found = await session.scratch(async (channel) => {
      const counts: Replies.AssertQueue[] = []
      for (const queue of queues) counts.push(await channel.checkQueue(queue))
      return counts
    }, signal)
    const served = Math.min(...found.map(({ consumerCount }) => consumerCount))
    return {
      ready: found.reduce((sum, { messageCount }) => sum + messageCount, 0),
      inFlight: undefined,
      delayed: undefined,
      dead: undefined,
      oldestAgeMs: undefined,
      consumers:
        source.order === 'none' || served === 0
          ? served
          : Math.max(1, await countWorkers(session, source.name)),
    }
  }

  /** Delayed messages stay: the delay queues are everybody's. */
  async purge(source: Source, signal: AbortSignal): Promise<number> {
    const queues = queuesOf(checked(source))
    const session = await this.#open(signal)
    return session.scratch(async (channel) => {
      let purged = 0
      for (const queue of queues) purged += (await channel.purgeQueue(queue)).messageCount
      return purged
    }, signal)
  }

  async delete(topology: Topology, signal: AbortSignal): Promise<void> {
    checked(topology)
    const session = await this.#open(signal)
    await session.scratch((channel) => remove(channel, topology), signal)
    session.forgetDelays()
  }
}

/**
 * A queue has partitions or it has none, and is one or sixteen queues of the broker: of the other kind under the
 * same name it would leave behind whatever those hold.
 */
async function otherKind(
  session: Session,
  topology: Topology,
  signal: AbortSignal,
): Promise<readonly Drift[]> {
  if (topology.kind === 'topic' || topology.role === 'dead-letter') return []
  const { kind, name, order } = topology
  const other = order === 'none' ? 'key' : 'none'
  const sign = queuesOf({ name, order: other }).at(-1) ?? name
  try {
    await session.scratch((channel) => channel.checkQueue(sign), signal)
    return [{ object: `${kind} "${name}"`, field: 'order', expected: order, actual: other }]
  } catch (error) {
    if (classify(error).code === 'NOT_FOUND') return []
    throw error
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

const orderError = ({ object, expected, actual }: Drift): DriverError =>
  new DriverError(
    'DRIFT',
    `${object} exists with other settings: order is ${actual}, wanted ${expected}; empty it and delete it, or give the new one another name`,
  )

/** Who may use an object but not configure it is not told how it was declared. */
const UNREADABLE = {
  field: 'settings',
  expected: 'as declared',
  actual: 'unknown: no permission to configure',
}
