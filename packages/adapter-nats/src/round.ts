import { DriverError, type Failure } from '@msgloop/core/driver'
import { JetStreamApiError } from '@nats-io/jetstream'
import type { Msg } from '@nats-io/transport-node'
import { classify } from './errors.js'
import type { Asker, Session } from './session.js'

/** What an answer means: nothing when it is good. */
export type Judge = (reply: Msg) => unknown

/** Requests that are asked together, each answered, failed, or given up by itself. Their order is kept. */
export class Round implements Asker {
  /** Resolves when each has its outcome. Never rejects. */
  readonly done: Promise<readonly Failure[]>
  readonly #session: Session
  readonly #judge: Judge
  readonly #signal: AbortSignal | undefined
  readonly #failures: Failure[] = []
  /** Answers are known by this and their index. */
  readonly #base: number
  /** By index; absent where nothing is under way. */
  readonly #subjects: (string | undefined)[] = []
  #resolve: (failures: readonly Failure[]) => void = () => {}
  #left: number

  constructor(session: Session, size: number, judge: Judge, signal?: AbortSignal) {
    this.#session = session
    this.#judge = judge
    this.#signal = signal
    this.#left = size
    this.#base = session.reserve(size)
    this.done = new Promise((resolve) => {
      this.#resolve = resolve
    })
    signal?.addEventListener('abort', this.#abort)
    if (size === 0) this.#end()
  }

  /** `headers` as the wire has them. */
  ask(index: number, subject: string, payload: Uint8Array | string, headers?: Uint8Array): void {
    const stopped = this.#session.lost ?? (this.#signal?.aborted ? this.#signal.reason : undefined)
    try {
      if (stopped !== undefined) throw stopped
      this.#session.ask(this, this.#base + index, subject, payload, headers)
      this.#subjects[index] = subject
    } catch (error) {
      this.fail(index, unsent(error))
    }
  }

  fail(index: number, error: unknown): void {
    this.#failures.push({ index, error })
    this.#over(index)
  }

  answered(id: number, reply: Msg): void {
    const index = id - this.#base
    const error = this.#judge(reply)
    if (error === undefined) this.#over(index)
    else this.fail(index, error)
  }

  denied(subject: string, error: DriverError): void {
    for (const [index, each] of this.#subjects.entries()) if (each === subject) this.#giveUp(index, error)
  }

  failed(error: DriverError): void {
    for (const [index, each] of this.#subjects.entries()) if (each !== undefined) this.#giveUp(index, error)
  }

  readonly #abort = (): void => {
    const cause: unknown = this.#signal?.reason
    this.failed(new DriverError('ABORTED', 'nats: not confirmed yet', { outcome: 'unknown', cause }))
  }

  #giveUp(index: number, error: DriverError): void {
    this.#session.forget(this.#base + index)
    this.fail(index, error)
  }

  #over(index: number): void {
    this.#subjects[index] = undefined
    if (--this.#left === 0) this.#end()
  }

  #end(): void {
    this.#signal?.removeEventListener('abort', this.#abort)
    this.#resolve(this.#failures)
  }
}

/** What is thrown before anything is written. */
function unsent(cause: unknown): DriverError {
  const { code, retryable } = classify(cause)
  const sorted = code === 'UNKNOWN' ? 'ABORTED' : code
  const why = cause instanceof Error ? `: ${cause.message}` : ''
  return new DriverError(sorted, `nats: not sent${why}`, { retryable, outcome: 'rejected', cause })
}

/** Nobody listens on the subject: there is no such stream or consumer, or it has no leader just now. */
const NO_RESPONDERS = 503

const STORED = Buffer.from('{"stream":')

/** The answer to a publish. */
export function judgeStored(reply: Msg): unknown {
  const { data, headers } = reply
  if (headers?.code === NO_RESPONDERS) return noResponders('there is no such queue')
  // Read in full only where it is no plain confirmation.
  if (STORED.equals(data.subarray(0, STORED.length))) return undefined
  try {
    const { error }: { error?: unknown } = reply.json()
    if (error === undefined) return undefined
    if (isApiError(error)) return new JetStreamApiError(error)
  } catch {
    // Not JSON: something else than JetStream has answered.
  }
  return new DriverError('UNKNOWN', 'nats: what answered to a publish is not JetStream', {
    outcome: 'unknown',
  })
}

/** The answer to an ack of any kind: empty once the server has acted on it. */
export function judgeAcked(reply: Msg): unknown {
  return reply.headers?.code === NO_RESPONDERS ? noResponders('the consumer is gone') : undefined
}

const noResponders = (what: string): DriverError =>
  new DriverError('NOT_FOUND', `nats: ${what}`, { outcome: 'rejected' })

interface ApiError {
  readonly code: number
  readonly err_code: number
  readonly description: string
}

function isApiError(error: unknown): error is ApiError {
  return (
    typeof error === 'object' &&
    error !== null &&
    'err_code' in error &&
    typeof error.err_code === 'number' &&
    'code' in error &&
    typeof error.code === 'number' &&
    'description' in error &&
    typeof error.description === 'string'
  )
}
