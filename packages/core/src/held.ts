import type { Delivery } from './driver.js'
import type { MsgloopError } from './error.js'
import type { Intake } from './intake.js'

/** A delivery while it is ours: from being received until it is settled or lost. */
export class Held {
  readonly delivery: Delivery
  readonly intake: Intake
  /** Of the clock's `elapsed`, as `leasedAt`. */
  readonly receivedAt: number
  /** When its lease was last known to begin. */
  leasedAt: number
  /** No renewal may be sent any more: it would undo the settlement. */
  settling = false
  /** Where it is acked before its handler runs: whether that succeeded. `undefined` until then. */
  ackedFirst: boolean | undefined
  /** Called once, when it is lost. */
  onLost: (() => void) | undefined
  #ended: MsgloopError | undefined
  #lost = false
  #controller: AbortController | undefined

  constructor(delivery: Delivery, intake: Intake, now: number) {
    this.delivery = delivery
    this.intake = intake
    this.receivedAt = now
    this.leasedAt = now
  }

  /** Made on first use: most handlers never look, and an AbortController costs more than the rest. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController()
      if (this.#ended) this.#controller.abort(this.#ended)
    }
    return this.#controller.signal
  }

  /** Set when the delivery is no longer ours. */
  get lost(): MsgloopError | undefined {
    return this.#lost ? this.#ended : undefined
  }

  /** Tells the handler to stop. The delivery is still ours. */
  abort(reason: MsgloopError): void {
    if (this.#ended) return
    this.#ended = reason
    this.#controller?.abort(reason)
  }

  lose(reason: MsgloopError): void {
    if (this.#lost) return
    this.#lost = true
    if (!this.#ended) this.abort(reason)
    else this.#ended = reason
    this.onLost?.()
  }

  /** Another attempt begins while it is ours: with a signal of its own. */
  renew(): void {
    if (this.#lost) return
    this.#ended = undefined
    this.#controller = undefined
  }
}
