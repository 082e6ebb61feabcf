import { readAnswer } from './answer.js'
import { sendEach } from './batch.js'
import type { Codec } from './codec.js'
import type { Context } from './context.js'
import type { DeadLetters } from './dead-letters.js'
import type { QueueSpec } from './driver.js'
import { MsgloopError } from './error.js'
import { Outlet } from './outlet.js'
import type { BatchItem, Queue, RequestOptions, SendOptions, SendResult } from './queue.js'
import { readRequest } from './request-options.js'
import type { ResolvedQueue } from './resolved-queue.js'
import type { SenderLink } from './sender-link.js'
import type { OpenParts } from './source-handle.js'
import { SourceHandle } from './source-handle.js'
import { wrap } from './wrap.js'

export class QueueHandle<T> extends SourceHandle<T> implements Queue<T> {
  readonly #context: Context
  readonly #outlet: Outlet<T>
  readonly #codec: Codec<unknown>

  constructor(
    context: Context,
    resolved: ResolvedQueue<T, QueueSpec>,
    parts: OpenParts,
    deadLetters: DeadLetters<T>,
  ) {
    super(context, resolved, parts, deadLetters)
    const { definition } = resolved
    this.#context = context
    this.#codec = definition.codec
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

  async request<R>(body: T, options: RequestOptions = {}): Promise<R> {
    const { driver, requests } = this.#context
    this.#context.assertSending()
    const at = `request to ${this.#outlet.at}`
    if (!driver.capabilities.replies)
      throw new MsgloopError('UNSUPPORTED', `${at}: there is no request-reply on ${driver.name}`, {
        outcome: 'rejected',
      })
    const { timeoutMs, signal, send } = readRequest(at, options)
    const { message, delayMs } = await this.#outlet.prepare(body, send)
    const { id, correlationId = id } = message
    const answer = await requests.ask({
      id,
      at,
      timeoutMs,
      signal,
      send: (replyTo, stop) =>
        this.#outlet.sendPrepared({ message: { ...message, correlationId, replyTo }, delayMs }, stop),
    })
    // Without a schema the caller's word for the type is all there is.
    return readAnswer(at, this.#codec, answer) as R
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
