import { channel } from 'node:diagnostics_channel'
import type { DeadReason } from './driver.js'
import { reasonOf } from './reason.js'

/** A step in a message's life. */
export type FlowStep =
  | 'sent'
  | 'received'
  | 'started'
  | 'acked'
  /** Its handler failed, and nothing comes of it: the message was acked before (`at-most-once`). */
  | 'failed'
  | 'retried'
  | 'released'
  | 'rejected'
  | 'dead-lettered'
  | 'expired'
  | 'lease-lost'
  | 'replayed'

/** Published on the diagnostics channel `msgloop:flow` for every step of every message. */
export interface FlowEvent {
  readonly step: FlowStep
  /** The driver's name. */
  readonly broker: string
  /** The topic, where the step is `sent` and the message was published. */
  readonly queue: string
  readonly messageId: string
  /** Epoch ms. */
  readonly at: number
  readonly type?: string | undefined
  readonly key?: string | undefined
  readonly subject?: string | undefined
  readonly correlationId?: string | undefined
  readonly causationId?: string | undefined
  readonly consumer?: string
  readonly attempt?: number
  readonly deliveries?: number
  /** Of the handler run, or of the send. */
  readonly durationMs?: number
  /** Until a retry or a delayed send can be received. */
  readonly delayMs?: number
  readonly reason?: DeadReason
  readonly error?: unknown
}

/**
 * The channel of flow events. Without a subscriber nothing is built and nothing is published.
 */
export const flow = channel('msgloop:flow')

/**
 * Calls `listener` for every step of every message in this process; returns a function that ends it.
 *
 * @example const stop = onFlow(({ step, messageId }) => log.debug(step, messageId))
 */
export function onFlow(listener: (event: FlowEvent) => void): () => void {
  // Only `publishStep` publishes here, and only flow events.
  let warned = false
  const receive = (event: unknown): void => {
    try {
      listener(event as FlowEvent)
    } catch (error) {
      // Thrown from here it would end the process; told each time it would flood the log.
      if (warned) return
      warned = true
      process.emitWarning(`a listener of onFlow threw: ${reasonOf(error)}`, { code: 'MSGLOOP_FLOW' })
    }
  }
  flow.subscribe(receive)
  return () => {
    flow.unsubscribe(receive)
  }
}
