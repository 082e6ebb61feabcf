import type { Clock } from './clock.js'
import { systemClock } from './clock.js'
import type { Middleware } from './consumer.js'
import type { Duration } from './duration.js'
import { positiveMilliseconds } from './duration.js'
import { MsgloopError, Reject } from './error.js'
import { onlyKnown, positiveInteger } from './options.js'
import { RecentRuns } from './recent-runs.js'
import { Trouble } from './trouble.js'
import { WaitingLine } from './waiting-line.js'

export type CircuitState = 'closed' | 'open' | 'half-open'

export interface CircuitBreakerOptions {
  /** Failed runs within `within` that open it. */
  readonly failures: number
  readonly within: Duration
  /** Share of all runs within `within` that must have failed, too, in (0, 1]. Default 0.5. */
  readonly ratio?: number
  /** How long it stays open; then one message is tried. */
  readonly pause: Duration
  /** Whether an error tells of the thing that is protected. Default: all but `Reject`, which tells of the message. */
  readonly isFailure?: (error: unknown) => boolean
  /** Told of each change. */
  readonly onChange?: (state: CircuitState) => void
  /** For tests. Default `systemClock`. */
  readonly clock?: Clock
}

export interface CircuitBreaker extends Middleware {
  readonly state: CircuitState
}

const KNOWN: readonly (keyof CircuitBreakerOptions)[] = [
  'failures',
  'within',
  'ratio',
  'pause',
  'isFailure',
  'onChange',
  'clock',
]

/**
 * Middleware that stops handlers while what they need is down, so that an outage costs messages no attempts.
 *
 * Closed, it counts. After `failures` failures within `within` it opens: no handler begins for `pause`. Then it is half
 * open: one message is tried; if that succeeds it closes, else it opens again. Runs under way go on. Messages wait as
 * with `rateLimit`: slots and leases are kept, nothing more is fetched, and pausing or closing gives them back. One breaker
 * given to several consumers is one: make one per thing that can be down.
 *
 * @throws MsgloopError `INVALID`
 * @example
 * const mailer = circuitBreaker({ failures: 5, within: '10s', pause: '30s' })
 * queue.consume(sendMail, { middleware: [mailer] })
 */
export function circuitBreaker(options: CircuitBreakerOptions): CircuitBreaker {
  onlyKnown('circuitBreaker', options, KNOWN)
  const circuit = new Circuit(options)
  const middleware: Middleware = async (message, next) => {
    const entry = await circuit.enter(message.signal)
    let value: unknown
    try {
      value = await next()
    } catch (error) {
      circuit.ended(entry, gaveUp(message.signal) ? undefined : { error })
      throw error
    }
    circuit.ended(entry, 'well')
    return value
  }
  return Object.defineProperties(middleware, {
    waits: { value: true },
    state: { get: () => circuit.state },
  }) as CircuitBreaker
}

/** It was told to stop, which says nothing of what is protected; that it took too long does. */
function gaveUp({ aborted, reason }: AbortSignal): boolean {
  return aborted && !(reason instanceof MsgloopError && reason.code === 'TIMEOUT')
}

class Circuit {
  readonly #failures: number
  readonly #ratio: number
  readonly #pauseMs: number
  readonly #isFailure: (error: unknown) => boolean
  readonly #onChange: ((state: CircuitState) => void) | undefined
  readonly #trouble = new Trouble('circuitBreaker', undefined)
  readonly #clock: Clock
  readonly #runs: RecentRuns
  readonly #line: WaitingLine
  #state: CircuitState = 'closed'
  /** While open: when it is half open, by the clock's `elapsed`. */
  #openUntil = 0
  /** Half open, and a message is being tried. */
  #trying = false
  /** Goes up with each change: runs that began before it tell nothing of now. */
  #epoch = 0

  constructor(options: CircuitBreakerOptions) {
    const at = (option: keyof CircuitBreakerOptions): string => `circuitBreaker: option "${option}"`
    this.#failures = positiveInteger(at('failures'), options.failures)
    this.#ratio = options.ratio ?? 0.5
    if (!(this.#ratio > 0 && this.#ratio <= 1))
      throw new MsgloopError('INVALID', `${at('ratio')} is ${options.ratio}; give a number above 0, up to 1`)
    this.#pauseMs = positiveMilliseconds(at('pause'), options.pause)
    for (const option of ['isFailure', 'onChange'] as const)
      if (options[option] !== undefined && typeof options[option] !== 'function')
        throw new MsgloopError('INVALID', `${at(option)} takes a function`)
    this.#isFailure = options.isFailure ?? ((error) => !(error instanceof Reject))
    this.#onChange = options.onChange
    this.#clock = options.clock ?? systemClock
    this.#line = new WaitingLine(this.#clock)
    this.#runs = new RecentRuns(positiveMilliseconds(at('within'), options.within), this.#clock)
  }

  get state(): CircuitState {
    if (this.#state === 'open' && this.#clock.elapsed() >= this.#openUntil) this.#change('half-open')
    return this.#state
  }

  /** Resolves when a run may begin. */
  async enter(signal: AbortSignal): Promise<number> {
    for (let state = this.state; state !== 'closed'; state = this.state) {
      if (state === 'half-open' && !this.#trying) {
        this.#trying = true
        break
      }
      const turn = this.#line.join(signal)
      if (state === 'open')
        this.#line.ringIn(this.#openUntil - this.#clock.elapsed(), () => this.#line.next())
      await turn
    }
    return this.#epoch
  }

  /** How a run ended; `undefined` says nothing. */
  ended(entry: number, how: 'well' | { readonly error: unknown } | undefined): void {
    if (entry !== this.#epoch) return
    const failed = how !== undefined && how !== 'well' && this.#counts(how.error)
    if (this.#state === 'half-open') {
      this.#trying = false
      if (how === undefined) this.#line.next()
      else if (failed) this.#open()
      else this.#close()
      return
    }
    if (how === undefined) return
    this.#runs.add(failed)
    if (!failed) return
    const recent = this.#runs.count()
    if (recent.failed >= this.#failures && recent.failed >= recent.all * this.#ratio) this.#open()
  }

  #counts(error: unknown): boolean {
    try {
      return this.#isFailure(error)
    } catch (thrown) {
      this.#trouble.report(thrown)
      return true
    }
  }

  #open(): void {
    this.#openUntil = this.#clock.elapsed() + this.#pauseMs
    this.#change('open')
    // One of those that wait must see to it that somebody is let through.
    if (this.#line.size > 0) this.#line.ringIn(this.#pauseMs, () => this.#line.next())
  }

  #close(): void {
    this.#runs.clear()
    this.#change('closed')
    this.#line.all()
  }

  #change(state: CircuitState): void {
    this.#state = state
    this.#epoch++
    try {
      this.#onChange?.(state)
    } catch (thrown) {
      this.#trouble.report(thrown)
    }
  }
}
