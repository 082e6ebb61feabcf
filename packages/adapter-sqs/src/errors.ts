import type { BatchResultErrorEntry } from '@aws-sdk/client-sqs'
import { type Classified, DriverError } from '@msgloop/core/driver'

const denied: Classified = { code: 'DENIED', retryable: false, outcome: 'rejected' }
const busy: Classified = { code: 'BUSY', retryable: true, outcome: 'rejected' }
const invalid: Classified = { code: 'INVALID', retryable: false, outcome: 'rejected' }
const tooLarge: Classified = { code: 'TOO_LARGE', retryable: false, outcome: 'rejected' }
const leaseLost: Classified = { code: 'LEASE_LOST', retryable: false }
const notFound: Classified = { code: 'NOT_FOUND', retryable: false, outcome: 'rejected' }
const unreachable: Classified = { code: 'UNREACHABLE', retryable: true, outcome: 'rejected' }
const lost: Classified = { code: 'CONNECTION_LOST', retryable: true }
const timeout: Classified = { code: 'TIMEOUT', retryable: true }
const unknown: Classified = { code: 'UNKNOWN', retryable: false }

/** By the name of the SDK's exception, the code of a batch entry, or the code of a Node.js error. */
const BY_NAME: Readonly<Record<string, Classified>> = {
  QueueDoesNotExist: notFound,
  NonExistentQueue: notFound,
  InvalidAddress: notFound,
  NotFound: notFound,
  QueueNameExists: { code: 'DRIFT', retryable: false, outcome: 'rejected' },
  QueueDeletedRecently: busy,
  PurgeQueueInProgress: busy,
  OverLimit: busy,
  InvalidClientTokenId: denied,
  UnrecognizedClientException: denied,
  SignatureDoesNotMatch: denied,
  InvalidSignatureException: denied,
  IncompleteSignature: denied,
  MissingAuthenticationToken: denied,
  MissingAuthenticationTokenException: denied,
  AccessDenied: denied,
  AccessDeniedException: denied,
  InvalidAccessKeyId: denied,
  InvalidSecurity: denied,
  AuthFailure: denied,
  OptInRequired: denied,
  AuthorizationError: denied,
  ExpiredToken: denied,
  ExpiredTokenException: denied,
  KmsAccessDenied: denied,
  CredentialsProviderError: denied,
  RequestThrottled: busy,
  ThrottlingException: busy,
  Throttling: busy,
  ThrottledException: busy,
  Throttled: busy,
  TooManyRequestsException: busy,
  RequestLimitExceeded: busy,
  KmsThrottled: busy,
  SlowDown: busy,
  InvalidMessageContents: invalid,
  InvalidAttributeName: invalid,
  InvalidAttributeValue: invalid,
  InvalidParameterValue: invalid,
  InvalidParameterCombination: invalid,
  InvalidParameter: invalid,
  FilterPolicyLimitExceeded: invalid,
  SubscriptionLimitExceeded: invalid,
  TopicLimitExceeded: invalid,
  InvalidBatchEntryId: invalid,
  MissingParameter: invalid,
  EmptyBatchRequest: invalid,
  BatchEntryIdsNotDistinct: invalid,
  TooManyEntriesInBatchRequest: invalid,
  BatchRequestTooLong: tooLarge,
  UnsupportedOperation: { code: 'UNSUPPORTED', retryable: false, outcome: 'rejected' },
  ReceiptHandleIsInvalid: leaseLost,
  MessageNotInflight: leaseLost,
  InvalidIdFormat: leaseLost,
  ECONNREFUSED: unreachable,
  ENOTFOUND: unreachable,
  EAI_AGAIN: unreachable,
  EHOSTUNREACH: unreachable,
  ENETUNREACH: unreachable,
  ECONNRESET: lost,
  EPIPE: lost,
  ERR_STREAM_PREMATURE_CLOSE: lost,
  TimeoutError: timeout,
}

/** One code for several things, told apart by the text alone. */
const TOO_LONG = /must be shorter than|longer than the|TooLong|too long/i
const NO_CONNECTION = /did not establish a connection/
const OLD_HANDLE = /receipt handle has expired/i

/** Sorts what the SDK, Node.js or the broker throws. Total and pure. */
export function classify(error: unknown): Classified {
  if (error instanceof DriverError) return error
  if (!(error instanceof Error)) return unknown
  if (error.name === 'AbortError') return { code: 'ABORTED', retryable: false }
  const code = 'code' in error ? String(error.code) : ''
  if ('syscall' in error && error.syscall === 'connect') return unreachable
  if (Object.hasOwn(BY_NAME, code)) return BY_NAME[code] ?? unknown
  if (/CERT|TLS|SSL|EPROTO/.test(code)) return { ...unreachable, retryable: false }
  if (NO_CONNECTION.test(error.message)) return unreachable
  const sorted = byName(error.name, error.message)
  // The SDK has set its clock right by the answer's: the same request would now be signed correctly.
  if (sorted === denied && metadata(error, 'clockSkewCorrected') === true)
    return { ...denied, retryable: true }
  if (sorted) return sorted
  // An answer of a failing server, or of none of SQS at all: nothing is known of the message.
  const status = metadata(error, 'httpStatusCode')
  if (typeof status === 'number' && status >= 500) return { code: 'BUSY', retryable: true }
  return status === 429 ? busy : unknown
}

/** An entry of a request: SQS and SNS tell alike. */
export type FailedEntry = Pick<BatchResultErrorEntry, 'Id' | 'Code' | 'Message' | 'SenderFault'>

/** An entry that failed, of a request that did not. */
export function entryError({ Code = '', Message, SenderFault }: FailedEntry): DriverError {
  const sorted = byName(Code, Message ?? '')
  const message = `sqs: ${Code}: ${Message ?? 'the broker gives no reason'}`
  // Not the sender's fault: the broker failed, and may have done so after storing it.
  const other: Classified = SenderFault ? invalid : { code: 'BUSY', retryable: true }
  const { code, retryable, outcome } = sorted ?? other
  return new DriverError(code, message, { retryable, ...(outcome && { outcome }) })
}

/** Whether nothing is there by this name. */
export const isMissing = (error: unknown): boolean => classify(error).code === 'NOT_FOUND'

function byName(name: string, message: string): Classified | undefined {
  const full = name.replace(/^.*[.#]/, '')
  // SNS calls its errors so, and SQS some.
  const short = Object.hasOwn(BY_NAME, full) ? full : full.replace(/Exception$/, '')
  const sorted = Object.hasOwn(BY_NAME, short) ? BY_NAME[short] : undefined
  if (sorted !== invalid) return sorted
  if (TOO_LONG.test(message)) return tooLarge
  return OLD_HANDLE.test(message) ? leaseLost : invalid
}

function metadata(error: Error, name: string): unknown {
  const found: unknown = '$metadata' in error ? error.$metadata : undefined
  return typeof found === 'object' && found !== null ? Reflect.get(found, name) : undefined
}

export function noCredentials(address: string, cause: unknown): DriverError {
  return new DriverError(
    'DENIED',
    `sqs: no AWS credentials were found for ${address}; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or give the machine a role`,
    { outcome: 'rejected', cause },
  )
}
