import { adminCall } from './admin-call.js'
import type { Context } from './context.js'
import type { DeadLetters } from './dead-letters.js'
import type { SubscriptionSpec } from './driver.js'
import type { ResolvedQueue } from './resolved-queue.js'
import type { OpenParts } from './source-handle.js'
import { SourceHandle } from './source-handle.js'
import type { Subscription } from './topic.js'

export class SubscriptionHandle<T> extends SourceHandle<T> implements Subscription<T> {
  readonly topic: string
  readonly patterns: readonly string[]
  readonly #context: Context
  readonly #resolved: ResolvedQueue<T, SubscriptionSpec>

  constructor(
    context: Context,
    resolved: ResolvedQueue<T, SubscriptionSpec>,
    parts: OpenParts,
    deadLetters: DeadLetters<T>,
  ) {
    super(context, resolved, parts, deadLetters)
    this.topic = resolved.spec.topic
    this.patterns = resolved.spec.patterns
    this.#context = context
    this.#resolved = resolved
  }

  async create(): Promise<void> {
    const { topology } = this.#context
    // Another process may have deleted it since we last looked.
    topology.forget(this.#resolved.spec)
    await adminCall(this.#context, 'create', this.#resolved.spec, () => topology.ensure(this.#resolved))
  }
}
