import type { Codec } from './codec.js'
import { json } from './codec.js'
import type { Guarantee } from './driver.js'
import type { Duration } from './duration.js'
import { positiveMilliseconds } from './duration.js'
import { MsgloopError } from './error.js'
import { laneNames } from './lanes.js'
import { checkQueueName } from './names.js'
import { oneOf, onlyKnown, positiveInteger, upTo } from './options.js'
import type { RetryPolicy } from './retry.js'
import { exponential } from './retry.js'
import type { StandardSchema } from './standard-schema.js'

// biome-ignore lint/suspicious/noExplicitAny: a constructor of any arguments
export type ErrorClass = abstract new (...args: any[]) => unknown

/** Options of `defineQueue`. Every one has a default that is right for most queues. */
export interface QueueOptions<T> {
  /** Any Standard Schema (zod, valibot, arktype). Checked on send and before the handler. */
  readonly schema?: StandardSchema<unknown, T>
  /** Default `json()`. */
  readonly codec?: Codec<unknown>
  /**
   * `at-most-once`: a message is acked before its handler runs, so no failure and no crash brings it again, and
   * `send` does not wait for the broker's confirm. `exactly-once` needs an inbox. Default `at-least-once`.
   */
  readonly guarantee?: Guarantee
  /** Default `exponential({ attempts: 5, from: '500ms', factor: 2, max: '1m', jitter: true })`. */
  readonly retry?: RetryPolicy
  /** Errors of these classes skip the retries. */
  readonly failFast?: readonly ErrorClass[]
  /** Returning false skips the retries. Asked after `failFast`. */
  readonly retryIf?: (error: unknown, attempt: number) => boolean
  /** Name of the dead-letter queue. Default `<name>.dlq`. */
  readonly deadLetter?: string
  /** How long the dead-letter queue keeps an entry. Default 14 days, or the broker's cap. */
  readonly deadLetterRetention?: Duration
  /**
   * How long a delivery is ours before it is given to somebody else. Renewed while the handler runs.
   * Default 30 s. Where leases last as long as the connection (RabbitMQ), it has no effect.
   */
  readonly lease?: Duration
  /** Longest a handler may keep a message, renewals included. Default 12 h, or the broker's cap. */
  readonly maxLease?: Duration
  /**
   * Hand-overs after which the message is dead-lettered as `crash-loop`; at most 300. Default 3 × attempts,
   * at least 10; ten times that where giving back counts as a hand-over (`capabilities.releaseCounts`).
   */
  readonly maxDeliveries?: number
  /** Replays after which `replay` refuses a message. Default 3. */
  readonly maxReplays?: number
  /** Longest a `send` may take, waiting for a broker that is down included. Default 30 s. */
  readonly sendTimeout?: Duration
  /** Window in which a second message of the same id is dropped. Default: none. */
  readonly dedup?: Duration
  /**
   * `key`: messages of one `key` are handled one after the other in the order they were sent, also across
   * processes, retries and crashes; a message without a key is in nobody's way. Such a queue takes no `delay`.
   * Default `none`.
   */
  readonly order?: 'none' | 'key'
  /**
   * Takes a `priority`: a free slot of a consumer goes to the highest lane that has a message. Three queues,
   * `<name>`, `<name>.high` and `<name>.low`, with one dead-letter queue; not with `order`. Default false.
   */
  readonly lanes?: boolean
}

/** A queue as the application defines it, checked and with every default filled in. */
export interface QueueDefinition<T> {
  readonly name: string
  /** Of a subscription: the topic that fills it. */
  readonly topic?: string | undefined
  readonly schema: StandardSchema<unknown, T> | undefined
  readonly codec: Codec<unknown>
  readonly guarantee: Guarantee
  readonly retry: RetryPolicy
  readonly failFast: readonly ErrorClass[]
  readonly retryIf: ((error: unknown, attempt: number) => boolean) | undefined
  readonly deadLetter: string
  readonly deadLetterRetentionMs: number | undefined
  readonly leaseMs: number
  readonly maxLeaseMs: number | undefined
  readonly maxDeliveries: number | undefined
  readonly maxReplays: number
  readonly sendTimeoutMs: number
  readonly dedupWindowMs: number
  readonly order: 'none' | 'key'
  readonly lanes: boolean
}

export const QUEUE_OPTIONS: readonly (keyof QueueOptions<unknown>)[] = [
  'schema',
  'codec',
  'guarantee',
  'retry',
  'failFast',
  'retryIf',
  'deadLetter',
  'deadLetterRetention',
  'lease',
  'maxLease',
  'maxDeliveries',
  'maxReplays',
  'sendTimeout',
  'dedup',
  'order',
  'lanes',
]

/** The broker's own limit lies above; see `DELIVERY_LIMIT`. */
const MOST_DELIVERIES = 300
/** Each attempt is a hand-over, and some must be left for those whose process died. */
const MOST_ATTEMPTS = 290

const GUARANTEES: readonly Guarantee[] = ['at-most-once', 'at-least-once', 'exactly-once']

/**
 * Defines a queue. No I/O: what a broker lacks is refused by `broker.queue`, the rest here.
 *
 * @throws MsgloopError `INVALID` for a bad name, an unknown option, or a bad value
 * @example
 * const orders = defineQueue<Order>('orders', {
 *   retry: exponential({ attempts: 5, from: '500ms', jitter: true }),
 *   failFast: [ValidationError],
 * })
 */
export function defineQueue<T = unknown>(name: string, options: QueueOptions<T> = {}): QueueDefinition<T> {
  checkQueueName(name)
  const at = `queue "${name}"`
  onlyKnown(at, options, QUEUE_OPTIONS)
  const deadLetter = options.deadLetter ?? `${name}.dlq`
  checkQueueName(deadLetter)
  if (deadLetter === name)
    throw new MsgloopError(
      'INVALID',
      `${at}: its dead-letter queue is the queue itself; give "deadLetter" another name`,
    )
  const retry = options.retry ?? exponential({ attempts: 5, from: 500, factor: 2, max: '1m', jitter: true })
  if (typeof retry?.delayMs !== 'function')
    throw new MsgloopError(
      'INVALID',
      `${at}: option "retry" takes exponential(), linear(), fixed(), immediate() or custom()`,
    )
  upTo(MOST_ATTEMPTS, `${at}: "attempts" of option "retry"`, retry.attempts)
  const { failFast, retryIf } = options
  checkBodies(at, options)
  if (
    failFast !== undefined &&
    !(Array.isArray(failFast) && failFast.every((each) => typeof each === 'function'))
  )
    throw new MsgloopError('INVALID', `${at}: option "failFast" takes an array of error classes`)
  if (retryIf !== undefined && typeof retryIf !== 'function')
    throw new MsgloopError('INVALID', `${at}: option "retryIf" takes a function`)
  const ms = (option: keyof QueueOptions<T>, duration: Duration): number =>
    positiveMilliseconds(`${at}: option "${option}"`, duration)
  return Object.freeze({
    name,
    schema: options.schema,
    codec: options.codec ?? json(),
    guarantee: oneOf(`${at}: option "guarantee"`, options.guarantee ?? 'at-least-once', GUARANTEES),
    retry,
    failFast: options.failFast ?? [],
    retryIf: options.retryIf,
    deadLetter,
    deadLetterRetentionMs:
      options.deadLetterRetention === undefined
        ? undefined
        : ms('deadLetterRetention', options.deadLetterRetention),
    leaseMs: ms('lease', options.lease ?? '30s'),
    maxLeaseMs: options.maxLease === undefined ? undefined : ms('maxLease', options.maxLease),
    maxDeliveries:
      options.maxDeliveries === undefined
        ? undefined
        : upTo(MOST_DELIVERIES, `${at}: option "maxDeliveries"`, options.maxDeliveries),
    maxReplays: positiveInteger(`${at}: option "maxReplays"`, options.maxReplays ?? 3),
    sendTimeoutMs: ms('sendTimeout', options.sendTimeout ?? '30s'),
    dedupWindowMs: options.dedup === undefined ? 0 : ms('dedup', options.dedup),
    order: oneOf(`${at}: option "order"`, options.order ?? 'none', ['none', 'key']),
    lanes: checkLanes(at, name, options),
  })
}

/** What makes bytes of bodies. @throws MsgloopError `INVALID` */
export function checkBodies<T>(
  at: string,
  { schema, codec }: Pick<QueueOptions<T>, 'schema' | 'codec'>,
): void {
  if (schema !== undefined && typeof schema?.['~standard']?.validate !== 'function')
    throw new MsgloopError(
      'INVALID',
      `${at}: option "schema" takes a Standard Schema (zod, valibot, arktype, …)`,
    )
  if (codec !== undefined && (typeof codec?.encode !== 'function' || typeof codec.decode !== 'function'))
    throw new MsgloopError(
      'INVALID',
      `${at}: option "codec" takes json(), text(), bytes() or one of your own`,
    )
}

function checkLanes(
  at: string,
  name: string,
  { lanes, order }: Pick<QueueOptions<unknown>, 'lanes' | 'order'>,
): boolean {
  if (lanes !== undefined && typeof lanes !== 'boolean')
    throw new MsgloopError('INVALID', `${at}: option "lanes" takes true or false`)
  if (!lanes) return false
  if (order === 'key')
    throw new MsgloopError(
      'INVALID',
      `${at}: it cannot have "lanes" and order by key: what is in a higher lane overtakes its key`,
    )
  for (const each of laneNames(name)) checkQueueName(each)
  return true
}
