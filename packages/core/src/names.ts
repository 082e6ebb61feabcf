import { createHash } from 'node:crypto'
import { MsgloopError } from './error.js'

/** 1 to 70 characters that every broker can carry; room is left for the brokers' own prefixes. */
const MAX_NAME = 70
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,69}$/
/** Without dots, so that `<topic>.<subscription>` can be read in one way only. */
const SUBSCRIPTION_NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,69}$/
const RULE = 'or "-", beginning with a letter or digit'

/** @throws MsgloopError `INVALID` */
export function checkQueueName(name: unknown): asserts name is string {
  check('queue', name)
}

/** @throws MsgloopError `INVALID` */
export function checkTopicName(name: unknown): asserts name is string {
  check('topic', name)
}

/** @throws MsgloopError `INVALID` */
export function checkSubscriptionName(name: unknown): asserts name is string {
  // `<name>.dlq` is the dead-letter queue of a queue called as the topic is.
  if (typeof name === 'string' && SUBSCRIPTION_NAME.test(name) && name !== 'dlq') return
  throw new MsgloopError(
    'INVALID',
    `${quoted(name)} is not a subscription name: give letters, digits, "_" ${RULE}; "dlq" is not possible`,
  )
}

function check(what: string, name: unknown): void {
  if (typeof name === 'string' && NAME.test(name)) return
  throw new MsgloopError(
    'INVALID',
    `${quoted(name)} is not a ${what} name: give 1 to 70 letters, digits, ".", "_" ${RULE}`,
  )
}

function quoted(name: unknown): string {
  return JSON.stringify(name) ?? String(name)
}

/** Name of a queue that belongs to another. Where it would be too long the front is cut, and a hash tells it apart. */
export function besideName(name: string, suffix: string): string {
  const whole = name + suffix
  if (whole.length <= MAX_NAME) return whole
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 8)
  return `${name.slice(0, MAX_NAME - suffix.length - hash.length - 1)}-${hash}${suffix}`
}
