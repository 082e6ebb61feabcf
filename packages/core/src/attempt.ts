import type { Book } from './book.js'
import type { Context } from './context.js'
import { decodeFor } from './decode.js'
import { flow } from './flow.js'
import type { Held } from './held.js'
import { Incoming } from './incoming.js'
import type { Judgement } from './judge.js'
import { acked, beforeUserCode, deadLetter, judgeFailure, RELEASE } from './judge.js'
import type { Message } from './message.js'
import type { ResolvedQueue } from './resolved-queue.js'
import { runHandler } from './run-handler.js'
import { publishStarted } from './steps.js'

/** Who attempts, and how. */
export interface Attempting<T> {
  readonly consumer: string
  readonly run: (message: Message<T>) => unknown
  readonly handlerTimeoutMs: number | undefined
  /** Whether it came to nothing before the handler began: that is no attempt. */
  readonly unbegun: (message: Message<T>) => boolean
}

export interface Attempted {
  readonly judged: Judgement
  /** `undefined` when the handler was not run. */
  readonly durationMs: number | undefined
}

/** Runs the handler, unless no application code may see the delivery, and judges how it ended. */
export async function attempt<T>(
  context: Context,
  resolved: ResolvedQueue<T>,
  { consumer, run, handlerTimeoutMs, unbegun }: Attempting<T>,
  held: Held,
  book: Book,
): Promise<Attempted> {
  const { definition, spec } = resolved
  const early = beforeUserCode(context, resolved, held, book)
  if (early) return { judged: early, durationMs: undefined }
  const { message } = held.delivery
  let decoded = decodeFor(resolved, message)
  if (decoded instanceof Promise) decoded = await decoded
  if (!decoded.ok) {
    const judged = deadLetter(context, definition, book, decoded.reason, decoded)
    return { judged, durationMs: undefined }
  }
  const { clock } = context
  const at = clock.now()
  const begun = clock.elapsed()
  if (flow.hasSubscribers) publishStarted(context, held, { queue: definition.name, consumer, book })
  const incoming = new Incoming(held, book, decoded.body, definition.name)
  const outcome = await runHandler(run, incoming, held, clock, handlerTimeoutMs)
  const durationMs = Math.floor(clock.elapsed() - begun)
  if (unbegun(incoming)) return { judged: RELEASE, durationMs: undefined }
  if (outcome.ok) return { judged: acked(outcome.value), durationMs }
  const failed = { error: outcome.error, at, durationMs, consumer }
  return { judged: judgeFailure(context, definition, spec.role, book, failed), durationMs }
}
