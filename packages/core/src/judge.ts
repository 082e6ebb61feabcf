import type { Book } from './book.js'
import { addAttempt, attemptError, deadError, deadHeaders, retryHeaders, sameHeaders } from './book.js'
import type { Context } from './context.js'
import type { QueueDefinition } from './define-queue.js'
import type { DeadReason, Verdict } from './driver.js'
import { MsgloopError, Reject } from './error.js'
import type { Held } from './held.js'
import { laneName } from './lanes.js'
import { roundUp } from './outgoing.js'
import type { ResolvedQueue } from './resolved-queue.js'
import { RetryAfter } from './retry.js'

/** What is to become of a delivery, and why. */
export interface Judgement {
  readonly verdict: Verdict
  readonly step: 'acked' | 'retried' | 'released' | 'rejected' | 'expired' | 'dead-lettered'
  readonly reason?: DeadReason
  readonly delayMs?: number
  readonly error?: unknown
  /** What the handler returned: the answer, when the message is a request. `UNANSWERED`: nobody knows it. */
  readonly value?: unknown
  /** As it stands after an attempt that is to be retried. */
  readonly book?: Book
}

/** One handler run that failed. */
export interface FailedRun {
  readonly error: unknown
  /** Epoch ms at which it began. */
  readonly at: number
  readonly durationMs: number
  readonly consumer: string
  /** It can never succeed, whatever was thrown. */
  readonly final?: boolean
  /** Overrides the policy's delay. */
  readonly delayMs?: number | undefined
}

export const ACK: Judgement = Object.freeze({ verdict: Object.freeze({ kind: 'ack' }), step: 'acked' })
export const RELEASE: Judgement = Object.freeze({
  verdict: Object.freeze({ kind: 'release' }),
  step: 'released',
})

/**
 * No answer belongs to this ack: it comes before the handler, or the message was handled before and what was
 * returned then went with the process that ran it.
 */
export const UNANSWERED = Symbol('unanswered')

export function acked(value: unknown): Judgement {
  return value === undefined ? ACK : { ...ACK, value }
}

/** A failed look at a dead letter is tried again after this long; it is dead-lettered already. */
const DEAD_LETTER_RETRY_MS = 1_000
/** The delay after a custom policy itself threw. */
const BROKEN_POLICY_MS = 1_000

/** The handler classifies by what it throws; the queue decides. */
export function judgeFailure(
  context: Context,
  definition: QueueDefinition<unknown>,
  role: 'work' | 'dead-letter',
  before: Book,
  run: FailedRun,
): Judgement {
  const { error } = run
  const { limits } = context.driver.capabilities
  const fit = (ms: number): number =>
    Math.min(roundUp(Math.max(0, ms), limits.delayResolutionMs), limits.delayMs)
  const after = asked(() => (error instanceof RetryAfter ? error.delayMs : undefined), undefined)
  if (role === 'dead-letter') {
    const delayMs = fit(run.delayMs ?? after ?? DEAD_LETTER_RETRY_MS)
    return {
      verdict: { kind: 'retry', delayMs, headers: sameHeaders(before) },
      step: 'retried',
      delayMs,
      error,
    }
  }
  const book = addAttempt(before, {
    attempt: before.attempt,
    at: run.at,
    durationMs: run.durationMs,
    consumer: run.consumer,
    error: attemptError(error),
  })
  const reason = run.final ? 'rejected' : final(context, definition, book, error)
  if (reason) return deadLetter(context, definition, book, reason, { error })
  const delayMs = fit(run.delayMs ?? after ?? wait(context, definition, book.attempt, error))
  const verdict = { kind: 'retry', delayMs, headers: retryHeaders(book) } as const
  return { verdict, step: 'retried', delayMs, error, book }
}

/** Expired, or handed over too often: decided before any application code runs. */
export function beforeUserCode(
  context: Context,
  { definition, spec, maxDeliveries }: ResolvedQueue<unknown>,
  { delivery }: Held,
  book: Book,
): Judgement | undefined {
  if (spec.role === 'dead-letter') return undefined
  const { expiresAt } = delivery.message
  if (expiresAt !== undefined && expiresAt <= context.clock.now())
    return deadLetter(context, definition, book, 'expired')
  if (book.deliveries <= maxDeliveries) return undefined
  const error = new MsgloopError(
    'UNKNOWN',
    `handed over ${book.deliveries} times, more than maxDeliveries (${maxDeliveries}): its process seems to die of it`,
  )
  return deadLetter(context, definition, book, 'crash-loop', { error })
}

/** Moves to the dead-letter queue, with the record. What was thrown may be `undefined`, so it comes wrapped. */
export function deadLetter(
  context: Context,
  definition: QueueDefinition<unknown>,
  book: Book,
  reason: DeadReason,
  failure?: { readonly error: unknown },
): Judgement {
  const headers = deadHeaders(book, {
    reason,
    // Its own queue: whoever replays it need not know of lanes.
    source: definition.lanes ? laneName(definition.name, book.lane) : definition.name,
    ...(definition.topic !== undefined && { topic: definition.topic }),
    at: context.clock.now(),
    deliveries: book.deliveries,
    ...(book.firstAttemptAt !== undefined && { firstAttemptAt: book.firstAttemptAt }),
    ...(failure && { error: deadError(failure.error) }),
  })
  return {
    verdict: { kind: 'move', to: definition.deadLetter, headers },
    step: reason === 'rejected' ? 'rejected' : reason === 'expired' ? 'expired' : 'dead-lettered',
    reason,
    ...(failure && { error: failure.error }),
  }
}

function final(
  context: Context,
  { retry, failFast, retryIf }: QueueDefinition<unknown>,
  book: Book,
  error: unknown,
): DeadReason | undefined {
  if (asked(() => error instanceof Reject || failFast.some((each) => error instanceof each), false))
    return 'rejected'
  if (retryIf && !asked(() => retryIf(error, book.attempt), true)) return 'rejected'
  if (book.attempt >= retry.attempts) return 'exhausted'
  const elapsed = context.clock.now() - (book.firstAttemptAt ?? context.clock.now())
  return retry.maxElapsedMs !== undefined && elapsed >= retry.maxElapsedMs ? 'exhausted' : undefined
}

function wait(
  context: Context,
  { retry }: QueueDefinition<unknown>,
  attempt: number,
  error: unknown,
): number {
  const ms = asked(() => retry.delayMs(attempt, error, context.random), BROKEN_POLICY_MS)
  return Number.isFinite(ms) ? ms : BROKEN_POLICY_MS
}

/** Application code may throw inside a policy, and from an error it made: the message must not be lost by it. */
function asked<T>(ask: () => T, otherwise: T): T {
  try {
    return ask()
  } catch {
    return otherwise
  }
}
