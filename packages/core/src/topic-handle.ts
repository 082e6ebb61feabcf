import { adminCall } from './admin-call.js'
import { sendEach } from './batch.js'
import type { Context } from './context.js'
import type { SubscriptionOptions, TopicDefinition } from './define-topic.js'
import type { Drift, TopicSpec } from './driver.js'
import { MsgloopError } from './error.js'
import { onlyKnown } from './options.js'
import { rejected, SEND_OPTIONS } from './outgoing.js'
import { Outlet } from './outlet.js'
import type { SendResult } from './queue.js'
import type { SenderLink } from './sender-link.js'
import { checkSubject } from './subject.js'
import type { PublishItem, PublishOptions, Subscription, Topic } from './topic.js'
import { wrap } from './wrap.js'

const PUBLISH_OPTIONS = SEND_OPTIONS.filter((name) => name !== 'delay' && name !== 'priority')

export class TopicHandle<T> implements Topic<T> {
  readonly name: string
  readonly #context: Context
  readonly #spec: TopicSpec
  readonly #outlet: Outlet<T>
  readonly #subscribe: (name: string, options: SubscriptionOptions | undefined) => Subscription<T>

  constructor(
    context: Context,
    definition: TopicDefinition<T>,
    subscribe: (name: string, options: SubscriptionOptions | undefined) => Subscription<T>,
  ) {
    this.name = definition.name
    this.#context = context
    this.#spec = { kind: 'topic', name: definition.name }
    this.#outlet = new Outlet(context, { spec: this.#spec }, definition, definition.sendTimeoutMs)
    this.#subscribe = subscribe
  }

  get link(): SenderLink {
    return this.#outlet.link
  }

  get outlet(): Outlet<T> {
    return this.#outlet
  }

  async publish(subject: string, body: T, options: PublishOptions = {}): Promise<string> {
    this.check(subject, options)
    return await this.#outlet.send(body, options, { subject })
  }

  check(subject: string, options: PublishOptions): void {
    const at = `publish to ${this.#outlet.at}`
    try {
      checkSubject(at, subject)
      checkOptions(at, options)
    } catch (error) {
      throw rejected(at, error)
    }
  }

  async publishBatch(
    items: readonly PublishItem<T>[],
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<SendResult[]> {
    this.#context.assertSending()
    const batch = {
      at: `publishBatch to ${this.#outlet.at}`,
      shape: '{ subject, body, … }',
      send: ({ subject, body, ...rest }: PublishItem<T>) => this.publish(subject, body, rest),
      wrap: (error: unknown) =>
        wrap(this.#context.driver, { action: 'publish to', topic: this.name }, error, 'unknown'),
    }
    return await sendEach(batch, items, options)
  }

  subscription(name: string, options?: SubscriptionOptions): Subscription<T> {
    this.#context.assertOpen()
    return this.#subscribe(name, options)
  }

  async verify(): Promise<readonly Drift[]> {
    return await adminCall(this.#context, 'verify', this.#spec, (signal) =>
      this.#context.driver.admin.verify(this.#spec, signal),
    )
  }

  async delete(): Promise<void> {
    await adminCall(this.#context, 'delete', this.#spec, (signal) =>
      this.#context.driver.admin.delete(this.#spec, signal),
    )
    this.#context.topology.forget(this.#spec)
  }
}

function checkOptions(at: string, options: PublishOptions): void {
  onlyKnown(at, options, SEND_OPTIONS)
  if (Reflect.get(options, 'delay') !== undefined)
    throw new MsgloopError(
      'INVALID',
      `${at}: option "delay" is not possible for a topic; send to a queue with a delay, and publish from its handler`,
    )
  onlyKnown(at, options, PUBLISH_OPTIONS)
}
