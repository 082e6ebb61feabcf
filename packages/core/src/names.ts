import { MsgloopError } from './error.js'

/** 1 to 70 characters that every broker can carry; room is left for the brokers' own prefixes. */
const QUEUE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,69}$/

/** @throws MsgloopError `INVALID` */
export function checkQueueName(name: unknown): asserts name is string {
  if (typeof name === 'string' && QUEUE_NAME.test(name)) return
  throw new MsgloopError(
    'INVALID',
    `${JSON.stringify(name) ?? String(name)} is not a queue name: give 1 to 70 letters, digits, ".", "_" or "-", beginning with a letter or digit`,
  )
}
