import type { Admin, BrowsePage, Drift, QueueStats, Source, Topology } from '@msgloop/core/driver'
import { DriverError } from '@msgloop/core/driver'
import { BROWSE, DECLARE, PURGE, STATS } from './admin-scripts.js'
import { notFound } from './errors.js'
import { allKeys, type Keys, keysOf } from './keys.js'
import type { Nodes } from './nodes.js'
import { readBrowsed, readNumbers, readTexts } from './replies.js'
import type { Script } from './script.js'
import type { Argument } from './session.js'
import { asQueue, driftError, driftsOf, settingsOf } from './topology.js'
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
    const spec = asQueue(topology)
    const keys = keysOf(this.#prefix, spec.name)
    const reply = await this.#run(DECLARE, keys, [keys.stream, keys.settings], settingsOf(spec), signal)
    const declared = readTexts(reply)
    if (declared.length === 0) return
    const drifts = driftsOf(spec, declared)
    if (drifts.length > 0) throw driftError(spec, drifts)
  }

  async verify(topology: Topology, signal: AbortSignal): Promise<readonly Drift[]> {
    const spec = asQueue(topology)
    const { tag, settings } = keysOf(this.#prefix, spec.name)
    const reply = await this.#nodes.call(tag, (session) => session.call('HGETALL', settings), signal)
    return driftsOf(spec, readTexts(reply))
  }

  async stats(source: Source, signal: AbortSignal): Promise<QueueStats> {
    const { name } = asQueue(source)
    const keys = keysOf(this.#prefix, name)
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
    const names = [keys.stream, keys.settings, keys.delayed]
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
    const keys = keysOf(this.#prefix, name)
    const names = [keys.stream, keys.settings, keys.delayed, keys.leases]
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
    const keys = keysOf(this.#prefix, asQueue(topology).name)
    await this.#nodes.call(keys.tag, (session) => session.call('UNLINK', ...allKeys(keys)), signal)
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
