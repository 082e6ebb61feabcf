import { type Classified, DriverError } from '@msgloop/core/driver'

const lost: Classified = { code: 'CONNECTION_LOST', retryable: true }
const unreachable: Classified = { code: 'UNREACHABLE', retryable: true, outcome: 'rejected' }
const denied: Classified = { code: 'DENIED', retryable: false, outcome: 'rejected' }
const notFound: Classified = { code: 'NOT_FOUND', retryable: false, outcome: 'rejected' }
const busy: Classified = { code: 'BUSY', retryable: true, outcome: 'rejected' }
const tooLarge: Classified = { code: 'TOO_LARGE', retryable: false, outcome: 'rejected' }
const invalid: Classified = { code: 'INVALID', retryable: false, outcome: 'rejected' }
const drift: Classified = { code: 'DRIFT', retryable: false, outcome: 'rejected' }
const unsupported: Classified = { code: 'UNSUPPORTED', retryable: false, outcome: 'rejected' }
const unknown: Classified = { code: 'UNKNOWN', retryable: false }

/** By `err_code` of JetStream, where its HTTP-like `code` does not tell enough. */
const BY_API_CODE: Readonly<Record<number, Classified>> = {
  /** Resource limits of the account; storage; memory. They pass when something is deleted. */
  10002: busy,
  10023: busy,
  10028: busy,
  10047: busy,
  10039: unsupported,
  10076: unsupported,
  /** Replicas on a server that is no cluster. */
  10074: unsupported,
  10054: tooLarge,
  10097: tooLarge,
  /** Stream or consumer exists with other settings; subjects or consumers of another stream are in the way. */
  10058: drift,
  10065: drift,
  10099: drift,
  10100: drift,
  10148: drift,
  /** The stream is full, too slow, or without a leader. */
  10077: busy,
  10118: busy,
  10167: busy,
}

/** Errors of the client library have names, no codes. */
const BY_NAME: Readonly<Record<string, Classified>> = {
  AuthorizationError: denied,
  UserAuthenticationExpiredError: denied,
  PermissionViolationError: denied,
  ConnectionError: unreachable,
  ClosedConnectionError: lost,
  DrainingConnectionError: lost,
  TimeoutError: { code: 'TIMEOUT', retryable: true },
  NoResponders: notFound,
  JetStreamNotEnabled: unsupported,
  InvalidNameError: invalid,
  InvalidSubjectError: invalid,
}

const BY_NODE_CODE: Readonly<Record<string, Classified>> = {
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

const BY_TEXT: readonly (readonly [RegExp, Classified])[] = [
  [/max_payload|maximum payload/i, tooLarge],
  [/maximum (account |subscriptions? |)(active )?connections|connections exceeded/i, busy],
  [/does not support 'tls'|'tls' is not available/, { ...unreachable, retryable: false }],
  // Something else than NATS answers there.
  [/unexpected response from server/, { ...unreachable, retryable: false }],
  [/connection (closed|disconnected)|stale connection|slow consumer/i, lost],
]

/** Sorts what the client library, Node.js or the broker throws. Total and pure. */
export function classify(error: unknown): Classified {
  if (error instanceof DriverError) return error
  if (!(error instanceof Error)) return unknown
  if (error.name === 'AbortError') return { code: 'ABORTED', retryable: false }
  const code: unknown = 'code' in error ? error.code : undefined
  if (/^(JetStreamApi|ConsumerNotFound|StreamNotFound)Error$/.test(error.name))
    return byApi(Number(code), 'status' in error ? Number(error.status) : 0)
  const text = String(error.message)
  const byText = BY_TEXT.find(([pattern]) => pattern.test(text))?.[1]
  if (byText) return byText
  if (Object.hasOwn(BY_NAME, error.name)) return BY_NAME[error.name] ?? unknown
  const syscall: unknown = 'syscall' in error ? error.syscall : undefined
  if (syscall === 'read' || syscall === 'write') return lost
  if (typeof code === 'string') {
    if (Object.hasOwn(BY_NODE_CODE, code)) return BY_NODE_CODE[code] ?? unknown
    if (/CERT|TLS|SSL|EPROTO/.test(code)) return { ...unreachable, retryable: false }
  }
  if (error.name === 'RequestError') return error.cause === undefined ? lost : classify(error.cause)
  if (error.name === 'InvalidArgumentError') return invalid
  return error.name === 'ProtocolError' ? lost : unknown
}

function byApi(code: number, status: number): Classified {
  const known = BY_API_CODE[code]
  if (known) return known
  if (status === 404) return notFound
  if (status === 503) return busy
  return status === 400 ? invalid : unknown
}

/** What the server refuses: a subscription, or a publish. */
export function asDenied(error: Error): DriverError {
  const { code, retryable } = classify(error)
  return new DriverError(code, `nats: ${error.message}`, { retryable, cause: error })
}
