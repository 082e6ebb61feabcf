import type { Message } from '@aws-sdk/client-sqs'
import { type CancelTimer, systemClock } from '@msgloop/core/driver'
import type { Api } from './api.js'

/** Requests for messages of one queue that are under way at once, while there is a backlog. */
const MOST_POLLS = 10
/** Slots that become free within this time are filled by one request, as each costs. */
const GATHER_MS = 15
/**
 * The lease of what comes to a request that may wait, until it has arrived. Its answer may find nobody there any
 * more: the process was killed, the line cut. Then the messages are hidden for so long, and not for a whole lease.
 */
const ARRIVAL_SECONDS = 3
/** An answer that takes more than so many times the quickest one had to be waited for: there is no backlog. */
const WAITED_FOR = 3
/** An answer that is later than its wait and this is no longer waited for; it is still heard. */
const OVERDUE_MS = 1_000

export interface PollerOptions {
  readonly api: Api
  /** What one request may bring, 1 to 10. */
  readonly most: number
  readonly url: string
  readonly waitSeconds: number
  readonly leaseSeconds: number
  /** Deliveries that may still be taken, without those that are asked for already. */
  readonly free: () => number
  /** Whether deliveries are being worked on, so that more slots may be free in a moment. */
  readonly busy: () => boolean
  /** Told of what came, and for how long it is ours. */
  readonly arrived: (messages: readonly Message[], leaseMs: number) => void
  readonly failed: (error: unknown) => void
  /** Something changed: an answer came, or is overdue. */
  readonly ring: () => void
}

/**
 * Asks for messages: never for more than there are free slots, for as many at a time as it may, and with
 * more requests at once while each comes back full. No request is ever broken off.
 */
export class Poller {
  readonly #options: PollerOptions
  /** Slots asked for by requests that are not overdue. */
  #asked = 0
  #polls = 0
  /** Requests that may be under way at once. */
  #width = 1
  #gathering: CancelTimer | undefined
  /** The quickest answer that brought anything. */
  #quickestMs = Number.POSITIVE_INFINITY
  /** The last answer was not full: the next one may be waited for. */
  #quiet = true

  constructor(options: PollerOptions) {
    this.#options = options
  }

  /** Nothing is asked for, and nothing is about to be. */
  get idle(): boolean {
    return this.#polls === 0 && this.#gathering === undefined
  }

  /** Somebody waits for messages, for so long. */
  want(waitMs: number): void {
    const room = this.#room
    if (room <= 0) return
    const { most } = this.#options
    if (room < most && this.#polls > 0) return
    if (room < most && this.#options.busy()) {
      this.#gathering ??= systemClock.after(GATHER_MS, () => {
        this.#gathering = undefined
        if (this.#room > 0 && this.#polls === 0) this.#poll(Math.min(this.#room, most), waitMs)
        this.#options.ring()
      })
      return
    }
    this.stop()
    while (this.#polls < this.#width && (this.#room >= most || (this.#polls === 0 && this.#room > 0)))
      this.#poll(Math.min(this.#room, most), waitMs)
  }

  /** Begins nothing more by itself. */
  stop(): void {
    this.#gathering?.()
    this.#gathering = undefined
  }

  get #room(): number {
    return this.#options.free() - this.#asked
  }

  #poll(max: number, waitMs: number): void {
    const { api, url, leaseSeconds, arrived, failed, ring } = this.#options
    const visibilitySeconds = this.#quiet ? Math.min(leaseSeconds, ARRIVAL_SECONDS) : leaseSeconds
    const waitSeconds = Math.min(Math.max(1, Math.ceil(waitMs / 1_000)), this.#options.waitSeconds)
    this.#asked += max
    this.#polls++
    let counted = true
    const discount = (): void => {
      if (!counted) return
      counted = false
      this.#asked -= max
      this.#polls--
    }
    const cancel = systemClock.after(waitSeconds * 1_000 + OVERDUE_MS, () => {
      discount()
      ring()
    })
    const from = systemClock.elapsed()
    api
      .receive(url, { max, waitSeconds, visibilitySeconds })
      .then(
        (messages) => {
          discount()
          if (messages.length === max) this.#widen(systemClock.elapsed() - from)
          else this.#width = messages.length === 0 ? 1 : Math.max(1, this.#width - 1)
          this.#quiet = messages.length < max
          if (messages.length > 0) arrived(messages, visibilitySeconds * 1_000)
        },
        (error: unknown) => {
          discount()
          failed(error)
        },
      )
      .finally(() => {
        cancel()
        ring()
      })
  }

  /** An answer of one message is always full, so there it must also have come at once to tell of a backlog. */
  #widen(tookMs: number): void {
    this.#quickestMs = Math.min(this.#quickestMs, tookMs)
    if (this.#options.most === 1 && tookMs > WAITED_FOR * this.#quickestMs) return
    this.#width = Math.min(this.#width + 1, MOST_POLLS)
  }
}
