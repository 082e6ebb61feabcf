/** Names beginning so are ours, and refused from callers. */
export const RESERVED_PREFIX = 'msgloop-'

/**
 * Header names for the fields of a `WireMessage` that a broker has no native place for.
 * The W3C names are used as they are, so that tracers of other clients see them.
 */
export const FIELD_HEADERS = {
  type: 'msgloop-type',
  schemaVersion: 'msgloop-schema-version',
  causationId: 'msgloop-causation-id',
  key: 'msgloop-key',
  subject: 'msgloop-subject',
  replyTo: 'msgloop-reply-to',
  lane: 'msgloop-lane',
  expiresAt: 'msgloop-expires-at',
  timestamp: 'msgloop-timestamp',
  contentType: 'msgloop-content-type',
  correlationId: 'msgloop-correlation-id',
  id: 'msgloop-id',
  traceparent: 'traceparent',
  tracestate: 'tracestate',
} as const

/**
 * The core's bookkeeping, which travels in `WireMessage.headers`.
 * A driver hands it on as it is, packed into one native attribute where the broker's are few.
 */
export const BOOK_HEADERS = {
  /** Number of the attempt this copy is for; absent on the first. */
  attempt: 'msgloop-attempt',
  /** Hand-overs of earlier copies. The driver adds it to the broker's own count. */
  deliveries: 'msgloop-deliveries',
  /** Epoch ms at which the first attempt began. */
  firstAttemptAt: 'msgloop-first-attempt-at',
  /** JSON: one record per failed attempt. */
  history: 'msgloop-history',
  /** How often the message was replayed from a dead-letter queue. */
  replays: 'msgloop-replays',
  /** Present on a replayed message whose outcome a canary waits for. */
  canary: 'msgloop-canary',
  /** Ids of the dead letters this message was edited from, the latest first, with spaces between. */
  editedFrom: 'msgloop-edited-from',
  /** JSON: why, whence, when and with which error a message was dead-lettered. */
  dead: 'msgloop-dead',
  /** Of an answer: the handler failed, and the body is `{ name, message }` in JSON. */
  failed: 'msgloop-failed',
} as const
