import type { Middleware } from './consumer.js'
import type { Context } from './context.js'
import { DeadLetterShelf } from './dead-letter-shelf.js'
import type { QueueDefinition } from './define-queue.js'
import { defineQueue } from './define-queue.js'
import type { SubscriptionOptions, TopicDefinition } from './define-topic.js'
import { defineSubscription, defineTopic } from './define-topic.js'
import { MsgloopError } from './error.js'
import type { Queue } from './queue.js'
import { QueueHandle } from './queue-handle.js'
import type { ResolvedQueue } from './resolved-queue.js'
import {
  resolveDeadLetterQueue,
  resolveQuarantine,
  resolveQueue,
  resolveSubscription,
} from './resolved-queue.js'
import type { SenderLink } from './sender-link.js'
import type { OpenParts } from './source-handle.js'
import { SubscriptionHandle } from './subscription-handle.js'
import type { Subscription, Topic } from './topic.js'
import { TopicHandle } from './topic-handle.js'

interface Known<D, H> {
  readonly definition: D
  readonly handle: H
}

type Untyped = Known<QueueDefinition<unknown>, QueueHandle<unknown>>
type UntypedTopic = Known<TopicDefinition<unknown>, TopicHandle<unknown>>
type UntypedSubscription = Known<SubscriptionOptions, SubscriptionHandle<unknown>>

/**
 * The queues, topics and subscriptions of one broker. One name, one definition: whoever asks for it by the
 * same definition gets the same object back, typed.
 */
export class Handles {
  readonly #context: Context
  readonly #middleware: readonly Middleware[]
  readonly #parts: OpenParts
  readonly #queues = new Map<string, Untyped>()
  readonly #deadLetterQueues = new Map<string, QueueHandle<unknown>>()
  readonly #topics = new Map<string, UntypedTopic>()
  /** By the name of their queue. */
  readonly #subscriptions = new Map<string, UntypedSubscription>()

  constructor(context: Context, middleware: readonly Middleware[], parts: OpenParts) {
    this.#context = context
    this.#middleware = middleware
    this.#parts = parts
  }

  /** Everything that can be sent through. */
  get links(): readonly SenderLink[] {
    return [
      ...this.#deadLetterQueues.values(),
      ...[...this.#queues.values(), ...this.#topics.values()].map(({ handle }) => handle),
    ].map(({ link }) => link)
  }

  queue<T>(given: QueueDefinition<T> | string): Queue<T> {
    if (typeof given !== 'string' && typeof given?.retry?.delayMs !== 'function')
      throw new MsgloopError('INVALID', 'broker.queue takes what defineQueue() made, or a name')
    const name = typeof given === 'string' ? given : given.name
    const deadLetterQueue = this.#deadLetterQueues.get(name)
    if (deadLetterQueue && typeof given === 'string') return deadLetterQueue as unknown as Queue<T>
    const known = this.#queues.get(name)
    if (known) {
      if (typeof given === 'string' || known.definition === given) return known.handle as unknown as Queue<T>
      throw openOtherwise(`queue "${name}"`)
    }
    if (deadLetterQueue)
      throw new MsgloopError(
        'INVALID',
        `queue "${name}" is the dead-letter queue of another; use its deadLetters.queue`,
      )
    const subscription = this.#subscriptions.get(name)
    if (subscription)
      throw new MsgloopError(
        'INVALID',
        `queue "${name}" is a subscription of topic "${subscription.handle.topic}"; use that`,
      )
    const definition = typeof given === 'string' ? defineQueue<T>(given) : given
    const { driver } = this.#context
    const resolved = resolveQueue(driver.name, driver.capabilities, definition, this.#middleware)
    const handle = new QueueHandle<T>(this.#context, resolved, this.#parts, this.#shelf(resolved))
    this.#queues.set(name, { definition, handle } as unknown as Untyped)
    return handle
  }

  topic<T>(given: TopicDefinition<T> | string): Topic<T> {
    if (typeof given !== 'string' && (typeof given?.codec?.encode !== 'function' || 'retry' in given))
      throw new MsgloopError('INVALID', 'broker.topic takes what defineTopic() made, or a name')
    const name = typeof given === 'string' ? given : given.name
    const known = this.#topics.get(name)
    if (known) {
      if (typeof given === 'string' || known.definition === given) return known.handle as unknown as Topic<T>
      throw openOtherwise(`topic "${name}"`)
    }
    const definition = typeof given === 'string' ? defineTopic<T>(given) : given
    const { driver } = this.#context
    if (!driver.capabilities.topics)
      throw new MsgloopError('UNSUPPORTED', `topic "${name}": there are no topics on ${driver.name}`)
    const handle = new TopicHandle<T>(this.#context, definition, (subscription, options) =>
      this.#subscription(definition, subscription, options),
    )
    this.#topics.set(name, { definition, handle } as unknown as UntypedTopic)
    return handle
  }

  #subscription<T>(
    topic: TopicDefinition<T>,
    name: string,
    options: SubscriptionOptions | undefined,
  ): Subscription<T> {
    const queueName = `${topic.name}.${name}`
    const known = this.#subscriptions.get(queueName)
    if (known) {
      if (!options || sameOptions(known.definition, options))
        return known.handle as unknown as Subscription<T>
      throw openOtherwise(`subscription "${name}" of topic "${topic.name}"`)
    }
    const definition = defineSubscription(topic, name, options ?? {})
    if (this.#queues.has(queueName) || this.#deadLetterQueues.has(queueName))
      throw new MsgloopError(
        'INVALID',
        `subscription "${name}" of topic "${topic.name}": there is a queue "${queueName}" already`,
      )
    const { driver } = this.#context
    const resolved = resolveSubscription(driver.name, driver.capabilities, definition, this.#middleware)
    const handle = new SubscriptionHandle<T>(this.#context, resolved, this.#parts, this.#shelf(resolved))
    const entry = { definition: options ?? {}, handle }
    this.#subscriptions.set(queueName, entry as unknown as UntypedSubscription)
    return handle
  }

  #shelf<T>(source: ResolvedQueue<T>): DeadLetterShelf<T> {
    const dead = resolveDeadLetterQueue(source)
    const quarantine = resolveQuarantine(dead)
    const open = (beside: typeof dead): Queue<T> => {
      const { name } = beside.spec
      const known = this.#deadLetterQueues.get(name)
      if (known) return known as unknown as Queue<T>
      const handle = new QueueHandle<T>(this.#context, beside, this.#parts, shelf(beside))
      this.#deadLetterQueues.set(name, handle as unknown as QueueHandle<unknown>)
      return handle
    }
    const shelf = (beside: typeof dead): DeadLetterShelf<T> =>
      new DeadLetterShelf(this.#context, { source, dead: beside, quarantine, open })
    open(dead)
    return shelf(dead)
  }
}

function openOtherwise(what: string): MsgloopError {
  return new MsgloopError('INVALID', `${what} is open with another definition; define it once and share that`)
}

/** Options are often written where they are used: the same values are the same definition. */
function sameOptions(known: SubscriptionOptions, given: SubscriptionOptions): boolean {
  const names = new Set([...Object.keys(known), ...Object.keys(given)])
  for (const name of names) {
    const [a, b] = [known, given].map((options): unknown => Reflect.get(options, name))
    const same = Array.isArray(a) && Array.isArray(b) ? sameItems(a, b) : Object.is(a, b)
    if (!same) return false
  }
  return true
}

function sameItems(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, at) => Object.is(item, b[at]))
}
