import type { Book } from './book.js'
import type { Middleware } from './consumer.js'
import type { Context } from './context.js'
import { decodeFor } from './decode.js'
import { flow } from './flow.js'
import type { Held } from './held.js'
import { Incoming } from './incoming.js'
import type { Judgement } from './judge.js'
import { ACK, acked, beforeUserCode, deadLetter, judgeFailure, RELEASE } from './judge.js'
import type { Message } from './message.js'
import type { ResolvedQueue } from './resolved-queue.js'
import type { Outcome } from './run-handler.js'
import { runHandler } from './run-handler.js'
import { publishFailed, publishStarted } from './steps.js'

/** Who attempts, and how. */
export interface Attempting<T> {
  readonly consumer: string
  readonly run: (message: Message<T>) => unknown
  /** What may keep a message waiting before its attempt begins. */
  readonly hold: Middleware | undefined
  /** Deliveries that wait there. */
  readonly waiting: Set<Held>
  readonly handlerTimeoutMs: number | undefined
  /** Takes the message off the queue before its handler runs. Resolves with whether it is off. */
  readonly ackFirst: ((held: Held, book: Book) => Promise<boolean>) | undefined
  /** Whether it came to nothing before the handler began: that is no attempt. */
  readonly unbegun: (message: Message<T>) => boolean
}

export interface Attempted {
  readonly judged: Judgement
  /** `undefined` when the handler was not run. */
  readonly durationMs: number | undefined
}

const UNTOUCHED: Attempted = Object.freeze({ judged: RELEASE, durationMs: undefined })

/** Runs the handler, unless no application code may see the delivery, and judges how it ended. */
export async function attempt<T>(
  context: Context,
  resolved: ResolvedQueue<T>,
  attempting: Attempting<T>,
  held: Held,
  book: Book,
): Promise<Attempted> {
  const { definition, spec } = resolved
  const early = beforeUserCode(context, resolved, held, book)
  if (early) return { judged: early, durationMs: undefined }
  let decoded = decodeFor(resolved, held.delivery.message)
  if (decoded instanceof Promise) decoded = await decoded
  if (!decoded.ok) {
    const judged = deadLetter(context, definition, book, decoded.reason, decoded)
    return { judged, durationMs: undefined }
  }
  const incoming = new Incoming(held, book, decoded.body, definition.name)
  const begun = { at: context.clock.now(), elapsed: context.clock.elapsed() }
  const outcome = await (attempting.hold
    ? runHeld(attempting, attempting.hold, held, incoming, (message) => begin(message))
    : begin(incoming))
  if (outcome === undefined || attempting.unbegun(incoming)) return UNTOUCHED
  const durationMs = Math.floor(context.clock.elapsed() - begun.elapsed)
  if (outcome.ok) return { judged: acked(outcome.value), durationMs }
  const { error } = outcome
  if (!attempting.ackFirst) {
    const failed = { error, at: begun.at, durationMs, consumer: attempting.consumer }
    return { judged: judgeFailure(context, definition, spec.role, book, failed), durationMs }
  }
  if (flow.hasSubscribers) {
    const { consumer } = attempting
    publishFailed(context, held, { queue: definition.name, consumer, book, durationMs, error })
  }
  return { judged: { ...ACK, error }, durationMs }

  async function begin(message: Message<T>): Promise<Outcome | undefined> {
    const { ackFirst, consumer, run, handlerTimeoutMs } = attempting
    if (ackFirst && !(await ackFirst(held, book))) return undefined
    begun.at = context.clock.now()
    begun.elapsed = context.clock.elapsed()
    if (flow.hasSubscribers) publishStarted(context, held, { queue: definition.name, consumer, book })
    return await runHandler(run, message, held, context.clock, handlerTimeoutMs)
  }
}

/** `undefined` when it was told to stop while it waited. */
async function runHeld<T>(
  { waiting }: Attempting<T>,
  hold: Middleware,
  held: Held,
  message: Message<T>,
  begin: (message: Message<T>) => Promise<Outcome | undefined>,
): Promise<Outcome | undefined> {
  let ended: { readonly outcome: Outcome | undefined } | undefined
  waiting.add(held)
  try {
    const value = await hold(message, async () => {
      waiting.delete(held)
      // Let through and told to stop in the same moment.
      if (held.signal.aborted) throw held.signal.reason
      const outcome = await begin(message)
      ended = { outcome }
      if (outcome && !outcome.ok) throw outcome.error
      return outcome?.value
    })
    return ended ? ended.outcome : { ok: true, value }
  } catch (error) {
    if (ended) return ended.outcome
    return held.signal.aborted ? undefined : { ok: false, error }
  } finally {
    waiting.delete(held)
  }
}
