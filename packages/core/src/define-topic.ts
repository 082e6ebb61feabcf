import type { Codec } from './codec.js'
import { json } from './codec.js'
import type { QueueDefinition, QueueOptions } from './define-queue.js'
import { checkBodies, defineQueue, QUEUE_OPTIONS } from './define-queue.js'
import { positiveMilliseconds } from './duration.js'
import { checkSubscriptionName, checkTopicName } from './names.js'
import { onlyKnown } from './options.js'
import type { StandardSchema } from './standard-schema.js'
import { checkPatterns } from './subject.js'

/** Options of `defineTopic`: the same for all who publish and subscribe, as in `QueueOptions`. */
export type TopicOptions<T> = Pick<QueueOptions<T>, 'schema' | 'codec' | 'sendTimeout'>

/** A topic as the application defines it, checked and with every default filled in. */
export interface TopicDefinition<T> {
  readonly name: string
  readonly schema: StandardSchema<unknown, T> | undefined
  readonly codec: Codec<unknown>
  readonly sendTimeoutMs: number
}

/** Those of a queue, but for what belongs to the topic, or to sending. */
export interface SubscriptionOptions
  extends Omit<QueueOptions<never>, 'schema' | 'codec' | 'sendTimeout' | 'dedup' | 'lanes'> {
  /**
   * Which subjects it gets, 1 to 16 of them: `*` stands for one segment, a `#` at the end for zero or more.
   * Default `['#']`: all. Other patterns than those it was created with are `DRIFT`: delete it first.
   */
  readonly patterns?: readonly string[]
}

/** The queue of a subscription, `<topic>.<subscription>`. */
export interface SubscriptionDefinition<T> extends QueueDefinition<T> {
  readonly topic: string
  readonly patterns: readonly string[]
}

const TOPIC_OPTIONS: readonly (keyof TopicOptions<unknown>)[] = ['schema', 'codec', 'sendTimeout']
const NOT_OURS: readonly string[] = ['schema', 'codec', 'sendTimeout', 'dedup', 'lanes']
const SUBSCRIPTION_OPTIONS = [...QUEUE_OPTIONS.filter((name) => !NOT_OURS.includes(name)), 'patterns']

/**
 * Defines a topic. No I/O.
 *
 * @throws MsgloopError `INVALID` for a bad name, an unknown option, or a bad value
 * @example
 * const events = broker.topic(defineTopic<OrderEvent>('orders', { schema: OrderEvent }))
 * await events.publish('order.created.eu', { id: 7 })
 */
export function defineTopic<T = unknown>(name: string, options: TopicOptions<T> = {}): TopicDefinition<T> {
  checkTopicName(name)
  const at = `topic "${name}"`
  onlyKnown(at, options, TOPIC_OPTIONS)
  checkBodies(at, options)
  return Object.freeze({
    name,
    schema: options.schema,
    codec: options.codec ?? json(),
    sendTimeoutMs: positiveMilliseconds(`${at}: option "sendTimeout"`, options.sendTimeout ?? '30s'),
  })
}

/** @throws MsgloopError `INVALID` for a bad name, an unknown option, or a bad value */
export function defineSubscription<T>(
  { name: topic, schema, codec }: TopicDefinition<T>,
  name: string,
  given: SubscriptionOptions,
): SubscriptionDefinition<T> {
  checkSubscriptionName(name)
  const at = `subscription "${name}" of topic "${topic}"`
  onlyKnown(at, given, SUBSCRIPTION_OPTIONS)
  const { patterns = ['#'], ...options } = given
  return Object.freeze({
    ...defineQueue<T>(`${topic}.${name}`, { ...options, ...(schema && { schema }), codec }),
    topic,
    patterns: checkPatterns(at, patterns),
  })
}
