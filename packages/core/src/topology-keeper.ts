import type { Driver, QueueSpec } from './driver.js'
import { MsgloopError } from './error.js'
import { wrap } from './wrap.js'

/** A queue with the dead-letter queue that must exist before it; a dead-letter queue has none. */
export interface QueueTopology {
  readonly spec: QueueSpec
  readonly deadLetter: QueueSpec | undefined
}

const ENSURE_MS = 30_000

/** Puts queues in place once per broker, or checks that they are. */
export class TopologyKeeper {
  readonly #driver: Driver
  readonly #mode: 'declare' | 'verify' | 'none'
  readonly #done = new Map<string, Promise<void>>()

  constructor(driver: Driver, mode: 'declare' | 'verify' | 'none') {
    this.#driver = driver
    this.#mode = mode
  }

  /** Whether a queue that went missing may be made again. */
  get declares(): boolean {
    return this.#mode === 'declare'
  }

  /** Callers share it, so none may abort it: each stops waiting by itself. */
  ensure(topology: QueueTopology): Promise<void> {
    const name = topology.spec.name
    const known = this.#done.get(name)
    if (known) return known
    const doing = this.#ensure(topology, AbortSignal.timeout(ENSURE_MS))
    this.#done.set(name, doing)
    doing.catch(() => this.forget(name))
    return doing
  }

  /** The broker may have lost it: look again next time. */
  forget(name: string): void {
    this.#done.delete(name)
  }

  async #ensure({ spec, deadLetter }: QueueTopology, signal: AbortSignal): Promise<void> {
    const specs = deadLetter ? [deadLetter, spec] : [spec]
    for (const each of specs) {
      try {
        if (this.#mode === 'declare') await this.#driver.admin.declare(each, signal)
        if (this.#mode === 'verify') this.#judge(each.name, await this.#driver.admin.verify(each, signal))
      } catch (error) {
        throw wrap(this.#driver, { action: this.#mode, queue: each.name }, error, 'rejected')
      }
    }
  }

  #judge(name: string, drifts: Awaited<ReturnType<Driver['admin']['verify']>>): void {
    const at = `${this.#driver.name} at ${this.#driver.address}`
    const missing = drifts.filter((drift) => drift.field === undefined).map((drift) => drift.object)
    if (missing.length > 0)
      throw new MsgloopError(
        'NOT_FOUND',
        `${at}: ${missing.join(', ')} missing; create it, or connect with topology: 'declare'`,
        { outcome: 'rejected' },
      )
    if (drifts.length === 0) return
    const fields = drifts.map((d) => `${d.object}: ${d.field} is ${d.actual}, not ${d.expected}`)
    process.emitWarning(`${at}: queue "${name}" differs from its definition: ${fields.join('; ')}`, {
      code: 'MSGLOOP_DRIFT',
    })
  }
}
