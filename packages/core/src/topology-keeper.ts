import type { Driver, QueueSpec, Source, TopicSpec, Topology } from './driver.js'
import { MsgloopError } from './error.js'
import { describeDrift } from './topology-plan.js'
import { wrap } from './wrap.js'

/** A queue or subscription with what must exist before it; a dead-letter queue needs nothing. */
export interface QueueTopology<S extends Source = Source> {
  readonly spec: S
  readonly deadLetter: QueueSpec | undefined
  /** Of a subscription. */
  readonly topic?: TopicSpec | undefined
}

/** A topic needs nothing before it. */
export interface TopicTopology {
  readonly spec: TopicSpec
}

const ENSURE_MS = 30_000

/** Puts queues in place once per broker, or checks that they are. */
export class TopologyKeeper {
  readonly #driver: Driver
  readonly #mode: 'declare' | 'verify' | 'none'
  /** By kind, as a topic and a queue may have one name. */
  readonly #done = { queue: new Map<string, Promise<void>>(), topic: new Map<string, Promise<void>>() }

  readonly #owned = new Map<string, Promise<void>>()

  constructor(driver: Driver, mode: 'declare' | 'verify' | 'none') {
    this.#driver = driver
    this.#mode = mode
  }

  /** Whether a queue that went missing may be made again. */
  get declares(): boolean {
    return this.#mode === 'declare'
  }

  /** Callers share it, so none may abort it: each stops waiting by itself. */
  ensure(topology: QueueTopology | TopicTopology): Promise<void> {
    const { spec } = topology
    const done = this.#doneOf(spec)
    const known = done.get(spec.name)
    if (known) return known
    const doing = this.#ensure(topology, AbortSignal.timeout(ENSURE_MS))
    done.set(spec.name, doing)
    doing.catch(() => this.forget(spec))
    return doing
  }

  /**
   * As `ensure`, of a queue that belongs to another and is nobody's but ours: made also where everything else is
   * taken as it is. Only who verifies writes nothing.
   */
  async own(topology: QueueTopology<QueueSpec>): Promise<void> {
    if (this.#mode !== 'none') return await this.ensure(topology)
    const { spec } = topology
    const known = this.#owned.get(spec.name)
    if (known) return await known
    const making = this.#driver.admin.declare(spec, AbortSignal.timeout(ENSURE_MS)).catch((error) => {
      this.#owned.delete(spec.name)
      throw wrap(this.#driver, { action: 'declare', queue: spec.name }, error)
    })
    this.#owned.set(spec.name, making)
    await making
  }

  /** The broker may have lost it: look again next time. */
  forget(spec: Topology): void {
    this.#doneOf(spec).delete(spec.name)
  }

  #doneOf({ kind }: Topology): Map<string, Promise<void>> {
    return kind === 'topic' ? this.#done.topic : this.#done.queue
  }

  async #ensure(topology: QueueTopology | TopicTopology, signal: AbortSignal): Promise<void> {
    for (const each of inOrder(topology)) {
      try {
        if (this.#mode === 'declare') await this.#driver.admin.declare(each, signal)
        if (this.#mode === 'verify') this.#judge(each, await this.#driver.admin.verify(each, signal))
      } catch (error) {
        throw wrap(this.#driver, { action: this.#mode, [kindOf(each)]: each.name }, error, 'rejected')
      }
    }
  }

  #judge(spec: Topology, drifts: Awaited<ReturnType<Driver['admin']['verify']>>): void {
    const at = `${this.#driver.name} at ${this.#driver.address}`
    const missing = drifts.filter((drift) => drift.field === undefined).map((drift) => drift.object)
    if (missing.length > 0)
      throw new MsgloopError(
        'NOT_FOUND',
        `${at}: ${missing.join(', ')} missing; create it, or connect with topology: 'declare'`,
        { outcome: 'rejected' },
      )
    if (drifts.length === 0) return
    const fields = drifts.map(describeDrift)
    process.emitWarning(`${at}: ${nameOf(spec)} differs from its definition: ${fields.join('; ')}`, {
      code: 'MSGLOOP_DRIFT',
    })
  }
}

/** In the order they are made. */
export function inOrder(topology: QueueTopology | TopicTopology): readonly Topology[] {
  if (!('deadLetter' in topology)) return [topology.spec]
  const { deadLetter, topic, spec } = topology
  return [...(deadLetter ? [deadLetter] : []), ...(topic ? [topic] : []), spec]
}

/** For messages to people: a subscription is called by the name of its queue. */
export function nameOf(spec: Topology): string {
  return `${kindOf(spec)} "${spec.name}"`
}

/** What it is called in messages to people. */
export function kindOf({ kind }: Topology): 'queue' | 'topic' {
  return kind === 'topic' ? 'topic' : 'queue'
}
