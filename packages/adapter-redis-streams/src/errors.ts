import { type Classified, DriverError } from '@msgloop/core/driver'

const lost: Classified = { code: 'CONNECTION_LOST', retryable: true }
const unreachable: Classified = { code: 'UNREACHABLE', retryable: true, outcome: 'rejected' }
const denied: Classified = { code: 'DENIED', retryable: false, outcome: 'rejected' }
const busy: Classified = { code: 'BUSY', retryable: true, outcome: 'rejected' }
const invalid: Classified = { code: 'INVALID', retryable: false, outcome: 'rejected' }
/** The core opens again, which finds the right node. */
const elsewhere: Classified = { code: 'CONNECTION_LOST', retryable: true, outcome: 'rejected' }
const unknown: Classified = { code: 'UNKNOWN', retryable: false }

/**
 * By the first word of an error reply. Each comes before anything was written: a script that has begun
 * to write runs to its end.
 */
const BY_REPLY: Readonly<Record<string, Classified>> = {
  NOAUTH: denied,
  WRONGPASS: denied,
  NOPERM: denied,
  OOM: busy,
  LOADING: busy,
  BUSY: busy,
  MISCONF: busy,
  NOREPLICAS: busy,
  CLUSTERDOWN: busy,
  TRYAGAIN: busy,
  ASK: busy,
  MASTERDOWN: busy,
  READONLY: elsewhere,
  MOVED: elsewhere,
  CROSSSLOT: invalid,
  WRONGTYPE: { code: 'DRIFT', retryable: false, outcome: 'rejected' },
  NOGROUP: { code: 'NOT_FOUND', retryable: true, outcome: 'rejected' },
}

const BY_CODE: Readonly<Record<string, Classified>> = {
  ECONNREFUSED: unreachable,
  ENOTFOUND: unreachable,
  EAI_AGAIN: unreachable,
  EHOSTUNREACH: unreachable,
  ENETUNREACH: unreachable,
  ETIMEDOUT: unreachable,
  ECONNRESET: lost,
  EPIPE: lost,
  ERR_STREAM_DESTROYED: lost,
}

/** What only the text tells; that of a server, or of the client. First match wins. */
const BY_TEXT: readonly (readonly [RegExp, Classified])[] = [
  // Before 7.0 the error of a command in a script is wrapped in one of the script.
  [/-(OOM|MISCONF|NOREPLICAS) /, busy],
  [/-READONLY /, elsewhere],
  [/-(NOPERM|NOAUTH) |^ERR (The user executing the script can't|ACL failure in script)/, denied],
  [/^ERR (DB index is out of range|invalid DB index|SELECT is not allowed)/, invalid],
  [/max number of clients reached/, busy],
  [/^ERR (AUTH|invalid password|Client sent AUTH)/, denied],
  [/^ERR unknown command/, { code: 'UNSUPPORTED', retryable: false, outcome: 'rejected' }],
  [/^(Connection is closed|Socket timeout|Command aborted due to connection close)/, lost],
  [/^Stream isn't writeable/, { ...lost, outcome: 'rejected' }],
  // Something else than Redis answers there.
  [/Protocol error/, { ...unreachable, retryable: false }],
]

/** Sorts what ioredis, Node.js or the server throws. Total and pure. */
export function classify(error: unknown): Classified {
  if (error instanceof DriverError) return error
  if (!(error instanceof Error) || typeof error.message !== 'string') return unknown
  if (error.name === 'ReplyError' || /^-?[A-Z]{3,} /.test(error.message)) {
    const word = /^-?([A-Z]+)\b/.exec(error.message)?.[1] ?? ''
    if (Object.hasOwn(BY_REPLY, word)) return BY_REPLY[word] ?? unknown
  }
  const byText = BY_TEXT.find(([pattern]) => pattern.test(error.message))?.[1]
  if (byText) return byText
  const code = 'code' in error ? String(error.code) : ''
  // The same codes end a connection that was open; only these system calls happen before it is.
  const syscall = 'syscall' in error ? error.syscall : undefined
  if (syscall === 'read' || syscall === 'write') return lost
  if (Object.hasOwn(BY_CODE, code)) return BY_CODE[code] ?? unknown
  if (/CERT|TLS|SSL|EPROTO/.test(code)) return { ...unreachable, retryable: false }
  return unknown
}

/**
 * An error as it may be seen: ioredis puts the command and all its arguments on it, which are
 * passwords of AUTH, or the bodies of a whole batch.
 */
export function bare(error: unknown): unknown {
  if (error instanceof Error) Reflect.deleteProperty(error, 'command')
  return error
}

/** The same error for what was never sent. */
export const unsent = ({ code, message, retryable, cause }: DriverError): DriverError =>
  new DriverError(code, message, { retryable, outcome: 'rejected', cause })

export const notFound = (queue: string): DriverError =>
  new DriverError('NOT_FOUND', `redis-streams: there is no queue "${queue}"`, { outcome: 'rejected' })

export const noTopic = (topic: string): DriverError =>
  new DriverError('NOT_FOUND', `redis-streams: there is no topic "${topic}"`, { outcome: 'rejected' })
