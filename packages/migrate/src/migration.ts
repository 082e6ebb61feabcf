import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Duration, MsgloopError, milliseconds, type QueueDefinition } from '@msgloop/core'
import { type Driver, sleep } from '@msgloop/core/driver'
import { Pace } from '@msgloop/core/engine'
import { Ledger } from './ledger.js'
import type { Phase } from './phase.js'
import { type MigrationPlan, makePlan, type PlanOptions } from './plan.js'
import { Relay } from './relay.js'
import { assertDifferent, counterpart, queuesOn, type Side, sideOf } from './side.js'
import { type MigrationState, readState, writeState } from './state.js'
import { type MigrationVerdict, type VerifyOptions, verifyMoved } from './verify.js'

export interface MigrationOptions {
  readonly from: Driver
  readonly to: Driver
  readonly queues: readonly QueueDefinition<unknown>[]
  /** Folder of this migration alone: its phase, and what was moved. Made when it is not there. */
  readonly state: string
}

export interface DrainOptions {
  /** Ends when the source has given nothing for so long. Default 2 s. `0` runs until `signal`. */
  readonly quiet?: Duration
  /** Most messages a second, over all queues. Default: no limit. */
  readonly rate?: number
  /** Aborting ends it after the copies under way; run again, it goes on. */
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: Progress) => void
  /** Told of trouble that is being tried again. Default: a process warning. */
  readonly onTrouble?: (error: unknown) => void
}

export interface Progress {
  readonly moved: number
  readonly leftBehind: number
  readonly perSecond: number
  readonly errors: number
}

type Pairing = Awaited<ReturnType<typeof queuesOn>>[number]

const PROGRESS_MS = 200
const CALL_MS = 30_000
const LOOK_MS = 100

/**
 * One migration between two brokers. Each step can be run again, and taken back until `cutOver`.
 *
 * @example
 * const migration = await Migration.open({ from, to, queues: [orders], state: './migration' })
 * if ((await migration.plan()).obstacles.length === 0) {
 *   await migration.prepare()
 *   await migration.drain()
 *   await migration.verify()
 * }
 */
export class Migration {
  readonly #from: Side
  readonly #to: Side
  readonly #queues: readonly QueueDefinition<unknown>[]
  readonly #folder: string
  #state: MigrationState

  private constructor(from: Side, to: Side, options: MigrationOptions, state: MigrationState) {
    this.#from = from
    this.#to = to
    this.#queues = options.queues
    this.#folder = options.state
    this.#state = state
  }

  /** @throws MsgloopError `INVALID` for two sides that are one, no queue, or the folder of another migration */
  static async open(options: MigrationOptions): Promise<Migration> {
    const from = sideOf(options.from, 'none')
    const to = sideOf(options.to, 'declare')
    assertDifferent(from, to)
    if (options.queues.length === 0)
      throw new MsgloopError(
        'INVALID',
        'a migration needs at least one queue; name those that are to be moved',
      )
    const labels = { from: from.label, to: to.label }
    const state = (await readState(options.state, labels)) ?? {
      version: 1,
      ...labels,
      queues: options.queues.map(({ name }) => name),
      phase: 'source',
      startedAt: new Date().toISOString(),
    }
    return new Migration(from, to, options, state)
  }

  get phase(): Phase {
    return this.#state.phase
  }

  /** Looks at both sides and writes nothing, not even the state. */
  plan(options?: PlanOptions): Promise<MigrationPlan> {
    return makePlan(this.#from, this.#to, this.#queues, options)
  }

  /**
   * Makes the topology at the target, and lets consumers read both sides.
   *
   * @throws MsgloopError `INVALID` when a queue at the target is not empty and this is the first time; `DRIFT`
   */
  async prepare(): Promise<void> {
    const first = this.phase === 'source'
    for (const [, resolved] of await this.#pairs(this.#from, this.#to)) {
      await this.#to.context.topology.ensure(resolved)
      if (!first) continue
      const { ready } = await this.#to.context.driver.admin.stats(resolved.spec, AbortSignal.timeout(CALL_MS))
      if ((ready ?? 0) > 0)
        throw new MsgloopError(
          'INVALID',
          `queue "${resolved.spec.name}" at ${this.#to.label} holds ${ready} messages; empty it, or move it under another name`,
        )
    }
    if (first) await this.#enter('mirror')
  }

  /** Moves what is at the source: ready, and what becomes ready while it runs, and the dead letters. */
  drain(options: DrainOptions = {}): Promise<Progress> {
    return this.#bridge('drain', this.#from, this.#to, this.#folder, options)
  }

  /** Moves what is at the target back to the source. Refused after `cutOver`. */
  async rollBack(options: DrainOptions = {}): Promise<Progress> {
    if (this.phase === 'target')
      throw new MsgloopError(
        'INVALID',
        'the source was given up by cutOver; migrate in the other direction instead',
      )
    const back = await this.#bridge('mirror', this.#to, this.#from, join(this.#folder, 'back'), options)
    await this.#enter('source')
    return back
  }

  /** Compares what was moved with what is at the target. */
  verify(options?: VerifyOptions): Promise<MigrationVerdict> {
    return verifyMoved(this.#to, this.#queues, this.#folder, options)
  }

  /**
   * Gives up the source: tells applications that follow to leave it, and makes sure that they have and that nothing is
   * left there. Where order by key is kept, the bridge must be running: it moves the last messages while producers
   * wait. There is no way back.
   *
   * @param options.timeout for all of it; default 10 s
   * @throws MsgloopError `INVALID` when messages, or consumers that the broker tells of, are still there; the phase is
   * `drain` again then
   */
  async cutOver(options: { readonly timeout?: Duration } = {}): Promise<void> {
    const timeoutMs = milliseconds('cutOver: option "timeout"', options.timeout ?? '10s')
    if (this.phase !== 'drain' && this.phase !== 'target')
      throw new MsgloopError('INVALID', 'nothing was drained yet; call drain first')
    const { clock } = this.#from.context
    const deadline = clock.elapsed() + timeoutMs
    let left = this.#queues.some(({ order }) => order === 'key') ? undefined : await this.#left('messages')
    if (left === undefined) {
      await this.#enter('target')
      left = await this.#left('all')
      while (left !== undefined && clock.elapsed() < deadline) {
        await sleep(clock, LOOK_MS)
        left = await this.#left('all')
      }
    }
    if (left === undefined) return
    await this.#enter('drain')
    throw new MsgloopError('INVALID', left)
  }

  /** What is still at the source, in words. */
  async #left(what: 'messages' | 'all'): Promise<string | undefined> {
    for (const [{ spec }] of await this.#pairs(this.#from, this.#to)) {
      const stats = await this.#from.context.driver.admin.stats(spec, AbortSignal.timeout(CALL_MS))
      const messages = (stats.ready ?? 0) + (stats.inFlight ?? 0) + (stats.delayed ?? 0)
      const at = `queue "${spec.name}" at ${this.#from.label}`
      if (messages > 0) return `${at} still holds ${messages} messages; drain it first`
      if (what === 'all' && (stats.consumers ?? 0) > 0)
        return `${at} still has ${stats.consumers} consumers; close them, or let them follow the phase`
    }
    return undefined
  }

  async #bridge(
    phase: Phase,
    from: Side,
    to: Side,
    folder: string,
    options: DrainOptions,
  ): Promise<Progress> {
    if (this.phase === 'source')
      throw new MsgloopError('INVALID', 'nothing is prepared yet; call prepare first')
    if (this.phase === 'target')
      throw new MsgloopError('INVALID', 'this migration is over: cutOver was called')
    await this.#enter(phase)
    const ledger = await openLedger(folder)
    const stop = new AbortController()
    const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal
    const pace = new Pace(to.context.clock, options.rate)
    let errors = 0
    const onTrouble = (error: unknown): void => {
      errors++
      if (options.onTrouble) options.onTrouble(error)
      else process.emitWarning(String(error), { code: 'MSGLOOP_MIGRATE' })
    }
    const quietMs = milliseconds('drain: option "quiet"', options.quiet ?? '2s')
    const relays = (await this.#pairs(from, to)).map(
      ([source, target]) => new Relay({ from, to, source, target, ledger, pace, quietMs, signal, onTrouble }),
    )
    const begun = to.context.clock.elapsed()
    const progress = (): Progress => {
      const moved = relays.reduce((sum, relay) => sum + relay.moved, 0)
      const leftBehind = relays.reduce((sum, relay) => sum + relay.leftBehind, 0)
      const seconds = Math.max(0.001, (to.context.clock.elapsed() - begun) / 1_000)
      return { moved, leftBehind, perSecond: Math.round(moved / seconds), errors }
    }
    const timer = setInterval(() => options.onProgress?.(progress()), PROGRESS_MS)
    try {
      // One that fails ends the others, and all of them end before anything is closed.
      const ended = await Promise.allSettled(
        relays.map((relay) =>
          relay.run().catch((error) => {
            stop.abort()
            throw error
          }),
        ),
      )
      for (const each of ended) if (each.status === 'rejected') throw each.reason
      return progress()
    } finally {
      clearInterval(timer)
      options.onProgress?.(progress())
      await ledger.close()
    }
  }

  /** Every queue that is to be moved, with its counterpart. */
  async #pairs(from: Side, to: Side): Promise<[Pairing, Pairing][]> {
    const pairs: [Pairing, Pairing][] = []
    for (const definition of this.#queues)
      for (const source of await queuesOn(from, definition))
        pairs.push([source, counterpart(to, definition, source)])
    return pairs
  }

  async #enter(phase: Phase): Promise<void> {
    this.#state = { ...this.#state, phase }
    await writeState(this.#folder, this.#state)
  }
}

async function openLedger(folder: string): Promise<Ledger> {
  await mkdir(folder, { recursive: true })
  return await Ledger.open(folder)
}
