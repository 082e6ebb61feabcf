import type { Clock } from './clock.js'
import { systemClock } from './clock.js'
import type { Middleware } from './consumer.js'
import type { Duration } from './duration.js'
import { positiveMilliseconds } from './duration.js'
import { onlyKnown, upTo } from './options.js'
import { WaitingLine } from './waiting-line.js'

export interface RateLimitOptions {
  /** Most handler runs that begin within any window of `per`. At most 100 000. */
  readonly limit: number
  readonly per: Duration
  /** For tests. Default `systemClock`. */
  readonly clock?: Clock
}

const KNOWN: readonly (keyof RateLimitOptions)[] = ['limit', 'per', 'clock']
const MOST = 100_000

/**
 * Middleware that lets at most `limit` handler runs begin within any `per`; retries count. The limit is that of the
 * returned middleware: given to several consumers they share it; processes do not.
 *
 * A message that waits keeps its slot and its lease, so the consumer fetches no more than it has slots. The wait costs
 * no attempt, is not part of `handlerTimeout`, and ends when the consumer is paused or closed: the message is given back.
 *
 * @throws MsgloopError `INVALID`
 * @example queue.consume(callApi, { middleware: [rateLimit({ limit: 100, per: '1s' })] })
 */
export function rateLimit(options: RateLimitOptions): Middleware {
  onlyKnown('rateLimit', options, KNOWN)
  const limit = upTo(MOST, 'rateLimit: option "limit"', options.limit)
  const perMs = positiveMilliseconds('rateLimit: option "per"', options.per)
  const pace = new Pace(limit, perMs, options.clock ?? systemClock)
  const middleware: Middleware = async (message, next) => {
    if (!pace.take()) await pace.wait(message.signal)
    return await next()
  }
  return Object.assign(middleware, { waits: true })
}

class Pace {
  readonly #perMs: number
  readonly #clock: Clock
  readonly #line: WaitingLine
  /** When the last `limit` began, in a ring: the next one may begin `per` after the oldest of them. */
  readonly #begun: number[]
  #oldest = 0

  constructor(limit: number, perMs: number, clock: Clock) {
    this.#perMs = perMs
    this.#clock = clock
    this.#line = new WaitingLine(clock)
    this.#begun = new Array<number>(limit).fill(Number.NEGATIVE_INFINITY)
  }

  /** Whether one may begin now; then it counts. */
  take(): boolean {
    if (this.#line.size > 0 || this.#waitMs() > 0) return false
    this.#count()
    return true
  }

  async wait(signal: AbortSignal): Promise<void> {
    const turn = this.#line.join(signal)
    this.#arm()
    await turn
  }

  #waitMs(): number {
    return (this.#begun[this.#oldest] ?? 0) + this.#perMs - this.#clock.elapsed()
  }

  #count(): void {
    this.#begun[this.#oldest] = this.#clock.elapsed()
    this.#oldest = (this.#oldest + 1) % this.#begun.length
  }

  #arm(): void {
    this.#line.ringIn(this.#waitMs(), () => {
      while (this.#line.size > 0 && this.#waitMs() <= 0) {
        this.#count()
        this.#line.next()
      }
      if (this.#line.size > 0) this.#arm()
    })
  }
}
