import type { Context } from './context.js'
import type { Outgoing } from './driver.js'
import { flow } from './flow.js'
import type { Addressing, Bodies } from './outgoing.js'
import { prepare, roundUp } from './outgoing.js'
import type { SendOptions } from './queue.js'
import type { SendTopology } from './sender-link.js'
import { SenderLink } from './sender-link.js'
import { publishStep } from './steps.js'
import { nameOf } from './topology-keeper.js'
import { Trouble } from './trouble.js'

/** What a queue or topic is filled through: checks, encodes, sends, and tells of it. */
export class Outlet<T> {
  readonly link: SenderLink
  /** To people: `queue "orders"`. */
  readonly at: string
  readonly #context: Context
  readonly #name: string
  readonly #bodies: Bodies<T>
  readonly #trouble: Trouble

  constructor(context: Context, topology: SendTopology, bodies: Bodies<T>, sendTimeoutMs: number) {
    this.#context = context
    this.#name = topology.spec.name
    this.#bodies = bodies
    this.at = nameOf(topology.spec)
    this.#trouble = new Trouble(`sends to ${this.at} that no caller waits for`, undefined)
    this.link = new SenderLink(context, topology, sendTimeoutMs)
  }

  /**
   * Resolves with the id once the broker has taken responsibility; of a queue whose guarantee is at most once, when
   * it is on its way.
   * @throws MsgloopError with `outcome`
   */
  async send(body: T, options?: SendOptions, addressing?: Addressing): Promise<string> {
    this.#context.assertSending()
    const prepared = this.prepare(body, options, addressing)
    const outgoing = prepared instanceof Promise ? await prepared : prepared
    if (this.#bodies.guarantee === 'at-most-once') await this.#sendOff(outgoing, options?.signal)
    else await this.sendPrepared(outgoing, options?.signal)
    return outgoing.message.id
  }

  /** The first half of `send`: what is kept in between must not be changed. */
  prepare(body: T, options?: SendOptions, addressing?: Addressing): Outgoing | Promise<Outgoing> {
    return prepare(this.#context, this.#bodies, this.at, body, options, addressing)
  }

  /** The second half of `send`, `waitedMs` after the first. */
  async sendPrepared(
    prepared: Outgoing,
    signal?: AbortSignal,
    waitedMs = 0,
    underway?: () => void,
  ): Promise<void> {
    this.#context.assertSending()
    const { delayResolutionMs } = this.#context.driver.capabilities.limits
    const left = Math.max(0, prepared.delayMs - waitedMs)
    const outgoing = waitedMs === 0 ? prepared : { ...prepared, delayMs: roundUp(left, delayResolutionMs) }
    if (!flow.hasSubscribers) return await this.link.send(outgoing, signal, underway)
    const { message, delayMs } = outgoing
    const { clock } = this.#context
    const at = clock.elapsed()
    await this.link.send(outgoing, signal, underway)
    publishStep(this.#context, message, {
      step: 'sent',
      queue: this.#name,
      durationMs: Math.floor(clock.elapsed() - at),
      ...(delayMs > 0 && { delayMs }),
    })
  }

  /** Resolves when it is on its way. What becomes of it then nobody hears of, but in a warning. */
  #sendOff(outgoing: Outgoing, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      let off = false
      const underway = (): void => {
        off = true
        resolve()
      }
      this.sendPrepared(outgoing, signal, 0, underway).catch((error: unknown) => {
        if (off) this.#trouble.report(error)
        else reject(error)
      })
    })
  }
}
