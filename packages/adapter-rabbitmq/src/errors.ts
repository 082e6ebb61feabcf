import { type Classified, DriverError } from '@msgloop/core/driver'

const lost: Classified = { code: 'CONNECTION_LOST', retryable: true }
const unreachable: Classified = { code: 'UNREACHABLE', retryable: true, outcome: 'rejected' }
const denied: Classified = { code: 'DENIED', retryable: false }
const notFound: Classified = { code: 'NOT_FOUND', retryable: false }
const busy: Classified = { code: 'BUSY', retryable: true }
const tooLarge: Classified = { code: 'TOO_LARGE', retryable: false, outcome: 'rejected' }
const invalid: Classified = { code: 'INVALID', retryable: false, outcome: 'rejected' }
const unknown: Classified = { code: 'UNKNOWN', retryable: false }

/** By AMQP reply code, or by the code of a Node.js error. */
const BY_CODE: Readonly<Record<string, Classified>> = {
  311: tooLarge,
  312: notFound,
  320: lost,
  402: notFound,
  403: denied,
  404: notFound,
  405: busy,
  406: { code: 'INVALID', retryable: false },
  501: lost,
  502: lost,
  503: lost,
  504: lost,
  505: lost,
  506: busy,
  530: denied,
  540: { code: 'UNSUPPORTED', retryable: false },
  541: lost,
  ECONNREFUSED: unreachable,
  ENOTFOUND: unreachable,
  EAI_AGAIN: unreachable,
  EHOSTUNREACH: unreachable,
  ENETUNREACH: unreachable,
  ETIMEDOUT: unreachable,
  ECONNRESET: lost,
  EPIPE: lost,
  ERR_STREAM_DESTROYED: lost,
  /** A header name over 255 bytes, written by amqplib as one byte of length. */
  ERR_OUT_OF_RANGE: invalid,
}

/** What only the text tells: amqplib dropped the code, or one code means several things. First match wins. */
const BY_TEXT: readonly (readonly [RegExp, Classified])[] = [
  [/inequivalent arg/, { code: 'DRIFT', retryable: false }],
  [/message size .* larger than/, tooLarge],
  [/exceeds the \d+ byte encoding buffer/, tooLarge],
  [/is the wrong type; must be/, invalid],
  [/acknowledgement .* timed out|unknown delivery tag/, lost],
  [/vhost .* not found/, notFound],
  [/limit .* reached|vhost .* is down/, busy],
  [/Handshake terminated by server: (403|530)|ACCESS_REFUSED/, denied],
  [/closed abruptly during opening handshake/i, unreachable],
  // Something else than AMQP answers there.
  [/exceeds maxFrameSize|Invalid frame|mechanism .* not provided/, { ...unreachable, retryable: false }],
  [/No channels left/, busy],
]

/** amqplib's own errors have no code. Those of the broker may say the same words, and have one. */
const OVER = /Heartbeat timeout|Unexpected close|write after end|(channel|connection) (closed|closing|ended)/i

/** Sorts what amqplib, Node.js or the broker throws. Total and pure. */
export function classify(error: unknown): Classified {
  if (error instanceof DriverError) return error
  if (!(error instanceof Error)) return unknown
  if (error.name === 'AbortError') return { code: 'ABORTED', retryable: false }
  const code = 'code' in error ? String(error.code) : ''
  // The same codes end a connection that was open; only these system calls happen before it is.
  const syscall = 'syscall' in error ? error.syscall : undefined
  if (syscall === 'read' || syscall === 'write') return lost
  const byText = BY_TEXT.find(([pattern]) => pattern.test(error.message))?.[1]
  if (byText) return byText
  if (Object.hasOwn(BY_CODE, code)) return BY_CODE[code] ?? unknown
  if (/CERT|TLS|SSL|EPROTO/.test(code)) return { ...unreachable, retryable: false }
  return OVER.test(error.message) ? lost : unknown
}

/** The same for what certainly was not sent. */
export function unsent(error: unknown): DriverError {
  const { code, retryable } = classify(error)
  const message = error instanceof Error ? error.message : String(error)
  return new DriverError(code, message, { retryable, outcome: 'rejected', cause: error })
}
