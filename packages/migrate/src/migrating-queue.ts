import type { BatchItem, Queue, RequestOptions, SendOptions, SendResult } from '@msgloop/core'
import { MigratingSource } from './migrating-source.js'
import type { SideName } from './phase.js'
import type { PhaseClock } from './phase-clock.js'

const LOOK_MS = 25
/** A source that does not empty for so long is not waited for: sending goes on, and order may be lost. */
const MOST_MS = 30_000

/** A queue that is on two brokers while it moves. */
export class MigratingQueue<T> extends MigratingSource<T, Queue<T>> implements Queue<T> {
  readonly #ordered: boolean
  /** Sends wait for it: the last messages of the source are on their way. */
  #emptying: Promise<void> | undefined

  constructor(clock: PhaseClock, sides: Readonly<Record<SideName, Queue<T>>>, ordered: boolean) {
    super(clock, sides, ordered)
    this.#ordered = ordered
  }

  async send(body: T, options?: SendOptions): Promise<string> {
    return await (await this.#side()).send(body, options)
  }

  async sendBatch(
    items: readonly BatchItem<T>[],
    options?: { readonly signal?: AbortSignal },
  ): Promise<SendResult[]> {
    return await (await this.#side()).sendBatch(items, options)
  }

  async request<R = unknown>(body: T, options?: RequestOptions): Promise<R> {
    return await (await this.#side()).request<R>(body, options)
  }

  override async follow(): Promise<void> {
    if (this.#ordered && this.route.send === 'to') this.#emptying ??= this.#emptied()
    await super.follow()
  }

  async #side(): Promise<Queue<T>> {
    if (this.#emptying) await this.#emptying
    return this.sides[this.route.send]
  }

  /** Until the bridge has moved what the source still holds: what is sent now must not overtake it. */
  async #emptied(): Promise<void> {
    const deadline = performance.now() + MOST_MS
    while (performance.now() < deadline) {
      const { ready, inFlight, delayed } = await this.sides.from.stats()
      if ((ready ?? 0) + (inFlight ?? 0) + (delayed ?? 0) === 0) return
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
    process.emitWarning(
      `queue "${this.name}": the source did not empty within ${MOST_MS} ms after the phase became "target"; messages of one key may overtake. Keep the bridge running until it is empty`,
      { code: 'MSGLOOP_MIGRATE' },
    )
  }
}
