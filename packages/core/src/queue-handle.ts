import { sendEach } from './batch.js'
import type { Context } from './context.js'
import type { DeadLetters } from './dead-letters.js'
import type { QueueSpec } from './driver.js'
import { Outlet } from './outlet.js'
import type { BatchItem, Queue, SendOptions, SendResult } from './queue.js'
import type { ResolvedQueue } from './resolved-queue.js'
import type { SenderLink } from './sender-link.js'
import type { OpenParts } from './source-handle.js'
import { SourceHandle } from './source-handle.js'
import { wrap } from './wrap.js'

export class QueueHandle<T> extends SourceHandle<T> implements Queue<T> {
  readonly #context: Context
  readonly #outlet: Outlet<T>

  constructor(
    context: Context,
    resolved: ResolvedQueue<T, QueueSpec>,
    parts: OpenParts,
    deadLetters: DeadLetters<T>,
  ) {
    super(context, resolved, parts, deadLetters)
    const { definition } = resolved
    this.#context = context
    this.#outlet = new Outlet(context, resolved, definition, definition.sendTimeoutMs)
  }

  get link(): SenderLink {
    return this.#outlet.link
  }

  send(body: T, options?: SendOptions): Promise<string> {
    return this.#outlet.send(body, options)
  }

  get outlet(): Outlet<T> {
    return this.#outlet
  }

  async sendBatch(
    items: readonly BatchItem<T>[],
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<SendResult[]> {
    this.#context.assertSending()
    const batch = {
      at: `sendBatch to ${this.#outlet.at}`,
      shape: '{ body, … }',
      send: ({ body, ...rest }: BatchItem<T>) => this.#outlet.send(body, rest),
      wrap: (error: unknown) =>
        wrap(this.#context.driver, { action: 'send to', queue: this.name }, error, 'unknown'),
    }
    return await sendEach(batch, items, options)
  }
}
