import type { Context } from './context.js'
import type { QueueDefinition } from './define-queue.js'
import type { Limits, Outgoing, WireMessage } from './driver.js'
import { milliseconds } from './duration.js'
import { MsgloopError } from './error.js'
import { RESERVED_PREFIX } from './headers.js'
import { uuidv7 } from './id.js'
import { LANES } from './lanes.js'
import { oneOf, onlyKnown } from './options.js'
import type { SendOptions } from './queue.js'
import { isA, reasonOf } from './reason.js'
import { validate } from './validate.js'

export const SEND_OPTIONS: readonly (keyof SendOptions)[] = [
  'id',
  'headers',
  'delay',
  'ttl',
  'key',
  'priority',
  'type',
  'schemaVersion',
  'correlationId',
  'causationId',
  'traceparent',
  'tracestate',
  'causedBy',
  'signal',
]
const NONE: SendOptions = Object.freeze({})
const NOWHERE: Addressing = Object.freeze({})
const NO_HEADERS: Readonly<Record<string, string>> = Object.freeze({})
/** Token characters of RFC 9110: what every broker and HTTP can carry as a header name. */
const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^_|~-]{1,128}$/
const PRINTABLE_ASCII = /^[\x21-\x7e]{1,128}$/
/** Fields that become an AMQP short string, which holds 255 bytes. */
const MAX_FIELD_BYTES = 255
/** As the W3C has it. */
const MAX_TRACESTATE_BYTES = 512

/** What a message is made by: of a queue or a topic. */
export type Bodies<T> = Pick<QueueDefinition<T>, 'schema' | 'codec'> &
  Partial<Pick<QueueDefinition<T>, 'order' | 'lanes' | 'guarantee'>>

/** What we put on a message ourselves, checked already. */
export type Addressing = Pick<WireMessage, 'subject'>

/**
 * Checks everything that can be known before I/O, and encodes. May be a promise only where a schema
 * validates asynchronously. `at` names the queue or topic to people.
 *
 * @throws MsgloopError `INVALID`, `TOO_LARGE` or `UNSUPPORTED`, with outcome `rejected`
 */
export function prepare<T>(
  context: Context,
  definition: Bodies<T>,
  at: string,
  body: T,
  options: SendOptions = NONE,
  addressing: Addressing = NOWHERE,
): Outgoing | Promise<Outgoing> {
  const { limits } = context.driver.capabilities
  try {
    if (options !== NONE) onlyKnown(`send to ${at}`, options, SEND_OPTIONS)
    if (definition.schema) {
      const checked = validate(definition.schema, body)
      if (checked instanceof Promise)
        return checked
          .then((result) => {
            refuseInvalid(at, result.problem)
            return encode(context, definition, at, limits, body, options, addressing)
          })
          .catch((error) => {
            throw rejected(at, error)
          })
      refuseInvalid(at, checked.problem)
    }
    return encode(context, definition, at, limits, body, options, addressing)
  } catch (error) {
    throw rejected(at, error)
  }
}

function encode<T>(
  context: Context,
  definition: Bodies<T>,
  at: string,
  limits: Limits,
  body: T,
  options: SendOptions,
  { subject }: Addressing,
): Outgoing {
  const bytes = definition.codec.encode(body)
  if (!(bytes instanceof Uint8Array))
    throw new MsgloopError('INVALID', `${at}: its codec did not make a Uint8Array`)
  // Only what goes to a topic has a subject.
  const most = (subject !== undefined && limits.topicBodyBytes) || limits.bodyBytes
  if (bytes.byteLength > most) throw tooLarge(at, `the body has ${bytes.byteLength} bytes`, `${most}`)
  const now = context.clock.now()
  if (options === NONE)
    return {
      delayMs: 0,
      message: {
        id: uuidv7(now),
        body: bytes,
        headers: NO_HEADERS,
        timestamp: now,
        contentType: definition.codec.contentType,
        type: undefined,
        schemaVersion: undefined,
        correlationId: undefined,
        causationId: undefined,
        key: undefined,
        subject,
        replyTo: undefined,
        lane: undefined,
        expiresAt: undefined,
        traceparent: undefined,
        tracestate: undefined,
      },
    }
  const cause = options.causedBy
  const ttlMs = options.ttl === undefined ? undefined : milliseconds(`${at}: option "ttl"`, options.ttl)
  if (options.priority !== undefined) {
    oneOf(`${at}: option "priority"`, options.priority, LANES)
    if (!definition.lanes && options.priority !== 'normal')
      throw new MsgloopError(
        'INVALID',
        `${at}: option "priority" needs a queue with lanes: defineQueue(name, { lanes: true })`,
      )
  }
  return {
    delayMs: delay(at, definition.order, options, limits),
    message: {
      id: options.id === undefined ? uuidv7(now) : printable(at, 'id', options.id),
      body: bytes,
      headers: options.headers === undefined ? NO_HEADERS : headers(at, options.headers, limits),
      timestamp: now,
      contentType: definition.codec.contentType,
      type: field(at, 'type', options.type),
      schemaVersion: field(at, 'schemaVersion', options.schemaVersion),
      correlationId: field(
        at,
        'correlationId',
        options.correlationId ?? (cause ? (cause.correlationId ?? cause.id) : undefined),
      ),
      causationId: field(at, 'causationId', options.causationId ?? cause?.id),
      key: field(at, 'key', options.key),
      subject,
      replyTo: undefined,
      lane: options.priority,
      expiresAt: ttlMs === undefined ? undefined : now + ttlMs,
      traceparent: field(at, 'traceparent', options.traceparent ?? cause?.traceparent),
      tracestate: field(at, 'tracestate', options.tracestate ?? cause?.tracestate, MAX_TRACESTATE_BYTES),
    },
  }
}

function delay(at: string, order: 'none' | 'key' | undefined, options: SendOptions, limits: Limits): number {
  if (options.delay === undefined) return 0
  if (order === 'key')
    throw new MsgloopError(
      'INVALID',
      `${at}: option "delay" is not possible on a queue with order by key: what waits has no turn; send it when it is due`,
    )
  const ms = roundUp(milliseconds(`${at}: option "delay"`, options.delay), limits.delayResolutionMs)
  if (ms > limits.delayMs)
    throw new MsgloopError(
      'INVALID',
      `${at}: option "delay" is ${options.delay}; at most ${limits.delayMs} ms is possible here`,
    )
  return ms
}

/** Delays are never shorter than asked for. */
export function roundUp(ms: number, resolutionMs: number): number {
  return Math.ceil(ms / resolutionMs) * resolutionMs
}

function headers(
  at: string,
  given: Readonly<Record<string, string>>,
  limits: Limits,
): Readonly<Record<string, string>> {
  if (given === null || typeof given !== 'object')
    throw new MsgloopError('INVALID', `${at}: option "headers" must be an object of strings`)
  const names = Object.keys(given)
  if (names.length > limits.headerCount)
    throw tooLarge(at, `there are ${names.length} headers`, `${limits.headerCount}`)
  let size = 0
  const copy: Record<string, string> = {}
  for (const name of names) {
    const value = given[name]
    if (name.toLowerCase().startsWith(RESERVED_PREFIX))
      throw new MsgloopError(
        'INVALID',
        `${at}: header "${name}" is reserved: names beginning "${RESERVED_PREFIX}" are msgloop's own`,
      )
    if (!HEADER_NAME.test(name) || name === '__proto__')
      throw new MsgloopError(
        'INVALID',
        `${at}: ${JSON.stringify(name)} is not a header name: give 1 to 128 letters, digits or !#$%&'*+.^_|~-`,
      )
    if (name === 'traceparent' || name === 'tracestate')
      throw new MsgloopError('INVALID', `${at}: give "${name}" as an option of send, not as a header`)
    if (typeof value !== 'string')
      throw new MsgloopError('INVALID', `${at}: header "${name}" is of type ${typeof value}; give a string`)
    if (!value.isWellFormed())
      throw new MsgloopError('INVALID', `${at}: header "${name}" is not well-formed Unicode`)
    size += name.length + Buffer.byteLength(value)
    copy[name] = value
  }
  if (size > limits.headerBytes) throw tooLarge(at, `the headers have ${size} bytes`, `${limits.headerBytes}`)
  return copy
}

function field(
  at: string,
  name: keyof SendOptions,
  value: string | undefined,
  most = MAX_FIELD_BYTES,
): string | undefined {
  if (value === undefined) return undefined
  if (
    typeof value === 'string' &&
    value.length > 0 &&
    value.isWellFormed() &&
    Buffer.byteLength(value) <= most
  )
    return value
  throw new MsgloopError('INVALID', `${at}: option "${name}" must be a string of 1 to ${most} bytes`)
}

function printable(at: string, name: string, value: string): string {
  if (typeof value === 'string' && PRINTABLE_ASCII.test(value)) return value
  throw new MsgloopError(
    'INVALID',
    `${at}: option "${name}" must be 1 to 128 printable ASCII characters without spaces`,
  )
}

function tooLarge(at: string, what: string, limit: string): MsgloopError {
  return new MsgloopError('TOO_LARGE', `${at}: ${what}; at most ${limit} are possible here`)
}

function refuseInvalid(at: string, problem: string | undefined): void {
  if (problem !== undefined)
    throw new MsgloopError('INVALID', `${at}: the body does not match the schema: ${problem}`)
}

/** What was refused before any I/O, whatever was thrown. */
export function rejected(at: string, error: unknown): MsgloopError {
  if (isA(error, MsgloopError))
    return new MsgloopError(error.code, error.message, {
      outcome: 'rejected',
      ...(error.cause !== undefined && { cause: error.cause }),
    })
  const reason = reasonOf(error)
  return new MsgloopError('INVALID', `${at}: the body cannot be encoded: ${reason}`, {
    outcome: 'rejected',
    cause: error,
  })
}
