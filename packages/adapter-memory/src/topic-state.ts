import type { SubscriptionSpec, WireMessage } from '@msgloop/core/driver'
import { subjectMatcher } from '@msgloop/core/driver'
import type { QueueState } from './queue-state.js'

interface Binding {
  readonly queue: QueueState
  readonly matches: (subject: string) => boolean
}

/** One topic: it holds no message, and copies each to the queues of the subscriptions that match. */
export class TopicState {
  readonly #bindings = new Map<string, Binding>()

  /** In one step: there is no moment at which one subscription has it and another has not. */
  send(message: WireMessage, delayMs: number): void {
    const subject = message.subject ?? ''
    for (const { queue, matches } of this.#bindings.values())
      if (matches(subject)) queue.send(message, delayMs)
  }

  bind({ name, patterns }: SubscriptionSpec, queue: QueueState): void {
    this.#bindings.set(name, { queue, matches: subjectMatcher(patterns) })
  }

  unbind(name: string): void {
    this.#bindings.delete(name)
  }

  isBound(name: string): boolean {
    return this.#bindings.has(name)
  }
}
