import { MsgloopError } from './error.js'

/**
 * Turns bodies into bytes and back.
 *
 * `encode` throws on what cannot be carried; `decode` throws on what cannot be read, which
 * dead-letters the message with reason `undecodable`.
 */
export interface Codec<T> {
  readonly contentType: string
  encode(body: T): Uint8Array
  decode(bytes: Uint8Array): T
}

/** A byte order mark is a character like others: what is sent is what arrives. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * JSON, the default. A body that JSON would silently change is refused: `undefined`, functions,
 * symbols and bigints. Dates become ISO strings. A `__proto__` key stays a plain own key.
 */
export function json<T = unknown>(): Codec<T> {
  return {
    contentType: 'application/json',
    encode(body) {
      let text: string | undefined
      try {
        text = JSON.stringify(body)
      } catch (error) {
        throw new MsgloopError('INVALID', `the body cannot be written as JSON: ${(error as Error).message}`, {
          cause: error,
        })
      }
      if (text === undefined)
        throw new MsgloopError('INVALID', `a body of type ${typeof body} cannot be written as JSON`)
      return Buffer.from(text)
    },
    decode: (bytes) => JSON.parse(utf8.decode(bytes)) as T,
  }
}

/** UTF-8 text. Bytes that are not valid UTF-8 are undecodable. */
export function text(): Codec<string> {
  return {
    contentType: 'text/plain; charset=utf-8',
    encode(body) {
      if (typeof body !== 'string')
        throw new MsgloopError('INVALID', `the text codec takes a string, not ${typeof body}`)
      return Buffer.from(body)
    },
    decode: (bytes) => utf8.decode(bytes),
  }
}

/** Bytes as they are. */
export function bytes(): Codec<Uint8Array> {
  return {
    contentType: 'application/octet-stream',
    encode(body) {
      if (!(body instanceof Uint8Array))
        throw new MsgloopError('INVALID', `the bytes codec takes a Uint8Array, not ${typeof body}`)
      return body
    },
    decode: (bytes) => bytes,
  }
}
