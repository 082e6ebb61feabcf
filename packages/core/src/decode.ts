import type { Codec } from './codec.js'
import { bytes, json, text } from './codec.js'
import type { QueueDefinition } from './define-queue.js'
import type { WireMessage } from './driver.js'
import { MsgloopError } from './error.js'
import { reasonOf } from './reason.js'
import type { ResolvedQueue } from './resolved-queue.js'
import { validate } from './validate.js'

/** A body as the handler gets it, or why it never will. */
export type Decoded<T> =
  | { readonly ok: true; readonly body: T }
  | { readonly ok: false; readonly reason: 'undecodable' | 'invalid'; readonly error: MsgloopError }

const JSON_CODEC = json()
const TEXT_CODEC = text()
const BYTES_CODEC = bytes()

/** As `decode`; but what is dead-lettered already reaches its handler as bytes when it cannot be read. */
export function decodeFor<T>(
  { definition, spec }: ResolvedQueue<T>,
  message: WireMessage,
): Decoded<T> | Promise<Decoded<T>> {
  if (spec.role === 'work') return decode(definition, message)
  try {
    return { ok: true, body: read(definition.codec, message) as T }
  } catch {
    return { ok: true, body: message.body as T }
  }
}

/** Decodes and validates. A promise only where the schema is asynchronous. */
function decode<T>(definition: QueueDefinition<T>, message: WireMessage): Decoded<T> | Promise<Decoded<T>> {
  let body: unknown
  try {
    body = read(definition.codec, message)
  } catch (error) {
    return refused(definition, 'undecodable', `the body cannot be decoded: ${reasonOf(error)}`, error)
  }
  // Without a schema the application's word for the type is all there is.
  if (!definition.schema) return { ok: true, body: body as T }
  try {
    const checked = validate(definition.schema, body)
    return checked instanceof Promise
      ? checked.then(
          (result) => judge(definition, result),
          (error) => refused(definition, 'invalid', `its schema threw: ${reasonOf(error)}`, error),
        )
      : judge(definition, checked)
  } catch (error) {
    return refused(definition, 'invalid', `its schema threw: ${reasonOf(error)}`, error)
  }
}

/**
 * By content type where the sender's differs from ours; without one the sender is a foreign client:
 * then JSON where it can be parsed, else bytes.
 */
export function read(codec: Codec<unknown>, { body, contentType }: WireMessage): unknown {
  if (contentType === codec.contentType) return codec.decode(body)
  if (contentType === undefined) {
    if (codec.contentType !== JSON_CODEC.contentType) return codec.decode(body)
    try {
      return JSON_CODEC.decode(body)
    } catch {
      return body
    }
  }
  const media = mediaType(contentType)
  if (media === mediaType(codec.contentType)) return codec.decode(body)
  if (media === 'application/json' || media.endsWith('+json')) return JSON_CODEC.decode(body)
  if (media.startsWith('text/')) return TEXT_CODEC.decode(body)
  if (media === 'application/octet-stream') return BYTES_CODEC.decode(body)
  return codec.decode(body)
}

function mediaType(contentType: string): string {
  return (contentType.split(';', 1)[0] ?? '').trim().toLowerCase()
}

function judge<T>(definition: QueueDefinition<T>, checked: { value?: T; problem?: string }): Decoded<T> {
  if (checked.problem === undefined) return { ok: true, body: checked.value as T }
  return refused(definition, 'invalid', `the body does not match the schema: ${checked.problem}`)
}

function refused<T>(
  definition: QueueDefinition<T>,
  reason: 'undecodable' | 'invalid',
  problem: string,
  cause?: unknown,
): Decoded<T> {
  const error = new MsgloopError(
    'INVALID',
    `queue "${definition.name}": ${problem}`,
    cause === undefined ? {} : { cause },
  )
  return { ok: false, reason, error }
}
