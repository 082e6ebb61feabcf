import type { Book } from './book.js'
import type { Context } from './context.js'
import type { WireMessage } from './driver.js'
import type { FlowEvent } from './flow.js'
import { flow } from './flow.js'
import type { Held } from './held.js'
import type { Judgement } from './judge.js'

/** Publishes a step of a message's life. Callers ask `flow.hasSubscribers` first: no subscriber, no cost. */
export function publishStep(
  context: Context,
  message: WireMessage,
  event: Omit<
    FlowEvent,
    'broker' | 'at' | 'messageId' | 'type' | 'key' | 'subject' | 'correlationId' | 'causationId'
  >,
): void {
  flow.publish({
    broker: context.driver.name,
    at: context.clock.now(),
    messageId: message.id,
    type: message.type,
    key: message.key,
    subject: message.subject,
    correlationId: message.correlationId,
    causationId: message.causationId,
    ...event,
  } satisfies FlowEvent)
}

/** How a handler run, or a settling by hand, ended. */
export interface Ending {
  readonly queue: string
  readonly consumer: string
  readonly book: Book
  readonly judged: Judgement
  readonly durationMs?: number | undefined
}

export function publishStarted(
  context: Context,
  { delivery }: Held,
  { queue, consumer, book }: Pick<Ending, 'queue' | 'consumer' | 'book'>,
): void {
  const { attempt, deliveries } = book
  publishStep(context, delivery.message, { step: 'started', queue, consumer, attempt, deliveries })
}

export function publishSettled(context: Context, { delivery }: Held, ending: Ending): void {
  const { queue, consumer, book, judged, durationMs } = ending
  publishStep(context, delivery.message, {
    step: judged.step,
    queue,
    consumer,
    attempt: book.attempt,
    deliveries: book.deliveries,
    ...(durationMs !== undefined && { durationMs }),
    ...(judged.delayMs !== undefined && { delayMs: judged.delayMs }),
    ...(judged.reason && { reason: judged.reason }),
    ...('error' in judged && { error: judged.error }),
  })
}

/** A run that failed after its message was acked. */
export function publishFailed(
  context: Context,
  { delivery }: Held,
  failed: Omit<Ending, 'judged'> & { readonly error: unknown },
): void {
  const { queue, consumer, book, durationMs, error } = failed
  const { attempt, deliveries } = book
  publishStep(context, delivery.message, {
    step: 'failed',
    queue,
    consumer,
    attempt,
    deliveries,
    ...(durationMs !== undefined && { durationMs }),
    error,
  })
}
