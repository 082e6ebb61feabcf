import type {
  Admin,
  BrowsePage,
  Drift,
  QueueSpec,
  QueueStats,
  Source,
  SubscriptionSpec,
  Topology,
} from '@msgloop/core/driver'
import { DriverError } from '@msgloop/core/driver'
import { BROWSE, DECLARE, PURGE, STATS } from './admin-scripts.js'
import { noTopic, notFound } from './errors.js'
import { allKeys, type Keys, keysOf, namesakes, routesKeyOf } from './keys.js'
import type { Nodes } from './nodes.js'
import { readBrowsed, readNumbers, readTexts } from './replies.js'
import type { Script } from './script.js'
import type { Argument, Session } from './session.js'
import { DECLARE_TOPIC, SUBSCRIBE, UNSUBSCRIBE } from './topic-scripts.js'
import {
  asQueue,
  bindingDrifts,
  driftError,
  driftsOf,
  groupDrifts,
  missing,
  patternsOf,
  settingsOf,
  TYPES,
  type Types,
  topicOf,
  typeDrifts,
} from './topology.js'
import { decode } from './wire.js'

const ENTRY_ID = /^\d{1,20}-\d{1,20}$/

export class RedisAdmin implements Admin {
  readonly #nodes: Nodes
  readonly #prefix: string

  constructor(nodes: Nodes, prefix: string) {
    this.#nodes = nodes
    this.#prefix = prefix
  }

  async declare(topology: Topology, signal: AbortSignal): Promise<void> {
    if (topology.kind === 'topic') {
      const { name } = topology
      const key = routesKeyOf(this.#prefix, name)
      await this.#nodes.call(name, (session) => session.run(DECLARE_TOPIC, [key], []), signal)
      return
    }
    const source = asQueue(topology)
    await this.#refuseNamesake(source, signal)
    const reply = await (source.kind === 'subscription'
      ? this.#subscribe(source, signal)
      : this.#make(source, signal))
    const declared = readTexts(reply)
    if (declared.length === 0) return
    const drifts = driftsOf(source, declared)
    if (drifts.length > 0) throw driftError(source, drifts)
  }

  async verify(topology: Topology, signal: AbortSignal): Promise<readonly Drift[]> {
    if (topology.kind === 'topic') {
      const key = routesKeyOf(this.#prefix, topology.name)
      const there = await this.#nodes.call(topology.name, (session) => session.call('EXISTS', key), signal)
      return there === 1 ? [] : [missing(topology)]
    }
    const source = asQueue(topology)
    const keys = this.#keys(source)
    const { tag, settings } = keys
    const types = await this.#typesOf(keys, signal)
    if (types.settings !== 'none' && types.settings !== TYPES.settings) return typeDrifts(source, types)
    const reply = await this.#nodes.call(tag, (session) => session.call('HGETALL', settings), signal)
    const declared = driftsOf(source, readTexts(reply))
    // Of a queue that was never declared nothing else can be missing.
    if (types.settings === 'none') return [...declared, ...typeDrifts(source, types)]
    const drifts = [
      ...declared,
      ...typeDrifts(source, types),
      ...(await this.#groupDrifts(source, keys, types.stream, signal)),
    ]
    if (source.kind === 'queue' || drifts.some(({ field }) => !field || field === 'patterns')) return drifts
    const key = routesKeyOf(this.#prefix, source.topic)
    const bound = await this.#nodes.call(tag, (session) => session.call('HGET', key, source.name), signal)
    return [...drifts, ...bindingDrifts(source, bound === null ? undefined : String(bound))]
  }

  async stats(source: Source, signal: AbortSignal): Promise<QueueStats> {
    const { name } = asQueue(source)
    const keys = this.#keys(source)
    const names = [keys.stream, keys.settings, keys.delayed, keys.leases, keys.receivers]
    const numbers = readNumbers(existing(name, await this.#run(STATS, keys, names, [], signal)))
    const [ready, inFlight, delayed, oldestAgeMs, consumers] = numbers
    return { ready, inFlight, delayed, dead: undefined, oldestAgeMs, consumers }
  }

  async browse(
    source: Source,
    limit: number,
    cursor: string | undefined,
    signal: AbortSignal,
  ): Promise<BrowsePage> {
    const { name } = asQueue(source)
    if (cursor !== undefined && !ENTRY_ID.test(cursor))
      throw new DriverError(
        'INVALID',
        `redis-streams: ${JSON.stringify(cursor)} is not a cursor of queue "${name}"`,
      )
    const keys = keysOf(this.#prefix, name)
    const args = [cursor === undefined ? '-' : `(${cursor}`, limit]
    const names = [keys.stream, keys.settings, keys.delayed, keys.leases, keys.turns, keys.waiting]
    const reply = existing(name, await this.#run(BROWSE, keys, names, args, signal))
    const { found, last } = readBrowsed(reply)
    const entries = found.map(({ entry, nth }) => ({
      ...decode(entry, nth),
      token: undefined,
      native: entry,
    }))
    return last === '' ? { entries } : { entries, cursor: last }
  }

  /** In pieces: the server does nothing else meanwhile. What others hold stays. */
  async purge(source: Source, signal: AbortSignal): Promise<number> {
    const { name } = asQueue(source)
    const keys = this.#keys(source)
    const names = [keys.stream, keys.settings, keys.delayed, keys.leases, keys.turns, keys.waiting]
    let removed = 0
    let from = '-'
    let to = '+'
    for (;;) {
      const reply = existing(name, await this.#run(PURGE, keys, names, [from, to], signal))
      const [count = '0', last = '', end = '+'] = readTexts(reply)
      removed += Number(count)
      if (last === '') return removed
      from = `(${last}`
      to = end
    }
  }

  async delete(topology: Topology, signal: AbortSignal): Promise<void> {
    if (topology.kind === 'topic') {
      const key = routesKeyOf(this.#prefix, topology.name)
      await this.#nodes.call(topology.name, (session) => session.call('UNLINK', key), signal)
      return
    }
    const keys = this.#keys(asQueue(topology))
    const names = allKeys(keys)
    if (topology.kind === 'queue')
      await this.#nodes.call(keys.tag, (session) => session.call('UNLINK', ...names), signal)
    else {
      const routes = routesKeyOf(this.#prefix, topology.topic)
      await this.#run(UNSUBSCRIBE, keys, [routes, ...names], [topology.name], signal)
    }
  }

  #keys(source: Source): Keys {
    return keysOf(this.#prefix, source.name, topicOf(source))
  }

  #make(queue: QueueSpec, signal: AbortSignal): Promise<unknown> {
    const keys = this.#keys(queue)
    return this.#run(DECLARE, keys, [keys.stream, keys.settings], settingsOf(queue), signal)
  }

  async #subscribe(subscription: SubscriptionSpec, signal: AbortSignal): Promise<unknown> {
    const { name, topic } = subscription
    const keys = this.#keys(subscription)
    const names = [keys.stream, keys.settings, routesKeyOf(this.#prefix, topic)]
    const args = [name, patternsOf(subscription), ...settingsOf(subscription)]
    const reply = await this.#run(SUBSCRIBE, keys, names, args, signal)
    if (reply === 0) throw noTopic(topic)
    return reply
  }

  async #typesOf(keys: Keys, signal: AbortSignal): Promise<Types> {
    const names = ['stream', 'settings', 'delayed', 'leases'] as const
    const ask = (name: (typeof names)[number]): Promise<unknown> =>
      this.#nodes.call(keys.tag, (session) => session.call('TYPE', keys[name]), signal)
    const [stream, settings, delayed, leases] = (await Promise.all(names.map(ask))).map(String)
    return { stream, settings, delayed, leases }
  }

  async #groupDrifts(
    source: Source,
    { tag, stream }: Keys,
    type: string | undefined,
    signal: AbortSignal,
  ): Promise<readonly Drift[]> {
    if (type !== 'none' && type !== TYPES.stream) return []
    const ask = (session: Session): Promise<unknown> => session.call('XINFO', 'GROUPS', stream)
    const groups = type === 'none' ? [] : await this.#nodes.call(tag, ask, signal)
    return groupDrifts(source, readTexts(groups))
  }

  /** Other kinds of queues of the same name have other keys, perhaps on another node: one that cannot be asked is none. */
  async #refuseNamesake(source: Source, signal: AbortSignal): Promise<void> {
    const others = namesakes(this.#prefix, source.name, topicOf(source))
    await Promise.all(
      others.map(async ({ tag, settings }) => {
        const get = (session: Session): Promise<unknown> => session.call('HGETALL', settings)
        const declared = readTexts(await this.#nodes.call(tag, get, signal).catch(() => []))
        if (declared.length > 0) throw driftError(source, driftsOf(source, declared))
      }),
    )
  }

  #run(
    script: Script,
    { tag }: Keys,
    names: readonly string[],
    args: readonly Argument[],
    signal: AbortSignal,
  ): Promise<unknown> {
    return this.#nodes.call(tag, (session) => session.run(script, names, args), signal)
  }
}

function existing(queue: string, reply: unknown): unknown {
  if (reply === null) throw notFound(queue)
  return reply
}
