/**
 * The driver SPI. Adapters implement it, the core consumes it, applications never import it.
 *
 * The core behaves, a driver translates: no driver retries, wraps errors, logs, or holds a timer
 * for policy. Batches go in, outcomes come back per item, nothing is all-or-nothing.
 */

import type { Capabilities, Limits } from './capabilities.js'

/** Codes every error is sorted into. A closed list: programs act on it, never on messages. */
export type ErrorCode =
  /** Used after `close()`. */
  | 'CLOSED'
  /** The connection, channel or session went away; it comes back by itself. */
  | 'CONNECTION_LOST'
  /** The broker could not be reached at all. */
  | 'UNREACHABLE'
  /** Wrong credentials, or no permission. */
  | 'DENIED'
  /** The queue (or vhost, stream, …) does not exist. */
  | 'NOT_FOUND'
  /** The object exists with other settings than the ones declared. */
  | 'DRIFT'
  /** Bad input, found before any I/O wherever it can be. */
  | 'INVALID'
  /** Over a size or count limit. */
  | 'TOO_LARGE'
  /** The broker lacks what was asked for. */
  | 'UNSUPPORTED'
  /** The caller's `signal` aborted. */
  | 'ABORTED'
  /** Not finished in time. */
  | 'TIMEOUT'
  /** The broker refuses for now: throttled, full, or blocked by an alarm. */
  | 'BUSY'
  /** The delivery is no longer ours. */
  | 'LEASE_LOST'
  /** The delivery was settled before, in another way. */
  | 'SETTLED'
  /** The package of an adapter is not installed. */
  | 'ADAPTER_MISSING'
  /** The handler at the other end of a request failed. */
  | 'REMOTE'
  | 'UNKNOWN'

/** What a failed send means for the message: certainly not stored, or perhaps stored. */
export type SendOutcome = 'rejected' | 'unknown'

/** A sorted native error. */
export interface Classified {
  readonly code: ErrorCode
  /** Whether the same call may succeed later without anybody changing anything. */
  readonly retryable: boolean
  /** For sends. Absent means `unknown`: only a driver that is certain says `rejected`. */
  readonly outcome?: SendOutcome
}

export type Lane = 'high' | 'normal' | 'low'
export type Guarantee = 'at-most-once' | 'at-least-once' | 'exactly-once'
export type DeadReason = 'exhausted' | 'rejected' | 'undecodable' | 'invalid' | 'expired' | 'crash-loop'

/** What a driver must have in place for a queue. */
export interface QueueSpec {
  readonly kind: 'queue'
  readonly name: string
  readonly role: 'work' | 'dead-letter'
  /** The queue that takes this one's dead letters. Present exactly when `role` is `work`. */
  readonly deadLetter?: string
  /**
   * Hand-overs after which the broker's own dead-lettering steps in; present exactly when `role` is
   * `work`, and always above the core's own limit, which dead-letters with a record.
   */
  readonly deliveryLimit?: number
  readonly leaseMs: number
  /** How long the broker keeps a message. Absent: the broker's longest. */
  readonly retentionMs?: number
  /** For how long the broker must drop a second message of the same id. 0: not at all. */
  readonly dedupWindowMs: number
  readonly order: 'none' | 'key'
}

/**
 * A topic: every subscription whose patterns match a message's subject gets its own copy. Topics have a
 * namespace of their own: a queue may have the same name. What is sent to one has a subject and no delay. Deleting
 * it may take with it what its subscriptions still hold.
 */
export interface TopicSpec {
  readonly kind: 'topic'
  readonly name: string
}

/**
 * One durable, independent reader group of a topic: a queue of its own that the topic fills. All that holds
 * for a queue holds for it; retries, replays and moves reach it alone. Its `name`, `<topic>.<subscription>`,
 * is in one namespace with those of queues, so that its dead-letter queue is an ordinary one. The core declares
 * the dead-letter queue, the topic and then the subscription; without its topic, declaring fails with `NOT_FOUND`.
 * Declaring it again binds it again, should the topic have been deleted and remade. Deleting it unbinds it first.
 */
export interface SubscriptionSpec extends Omit<QueueSpec, 'kind'> {
  readonly kind: 'subscription'
  readonly topic: string
  /**
   * 1 to 16 (`MOST_PATTERNS`), sorted, all different. `*` is one segment, a final `#` is zero or more; `['#']` is
   * everything. They may overlap; what several match is delivered once. Declaring with other patterns, or for
   * another topic, is `DRIFT`. `subjectMatcher` matches where the broker cannot.
   */
  readonly patterns: readonly string[]
}

export type Destination = QueueSpec | TopicSpec
export type Source = QueueSpec | SubscriptionSpec
export type Topology = QueueSpec | TopicSpec | SubscriptionSpec

/**
 * A message as it travels: encoded, validated, within `capabilities`.
 *
 * Every field but `id`, `body`, `headers` and `timestamp` is optional, and is put where the broker
 * has a native place for it, so that foreign clients see and can set it.
 */
export interface WireMessage {
  readonly id: string
  readonly body: Uint8Array
  /** User headers, and the core's own bookkeeping in names beginning `msgloop-`. */
  readonly headers: Readonly<Record<string, string>>
  /** When it was first sent, epoch ms. 0 where a foreign client did not say. */
  readonly timestamp: number
  readonly contentType?: string | undefined
  readonly type?: string | undefined
  readonly schemaVersion?: string | undefined
  readonly correlationId?: string | undefined
  readonly causationId?: string | undefined
  readonly key?: string | undefined
  /**
   * What patterns match: 1 to 16 segments of letters, digits, `_` and `-`, separated by dots, 127 characters in
   * all. Present on what was published to a topic, and stays through retries, dead-lettering and replay.
   */
  readonly subject?: string | undefined
  /** Where the answer to a request is expected: the `address` of a reply channel. */
  readonly replyTo?: string | undefined
  readonly lane?: Lane | undefined
  /** Epoch ms after which no handler may see it. */
  readonly expiresAt?: number | undefined
  readonly traceparent?: string | undefined
  readonly tracestate?: string | undefined
}

/** A message to send. */
export interface Outgoing {
  readonly message: WireMessage
  /** Wait this long before it can be received. A multiple of `delayResolutionMs`; 0 means now. */
  readonly delayMs: number
}

/** How the broker itself dead-lettered a message, when no msgloop process did. */
export interface NativeDeath {
  readonly reason: DeadReason
  readonly source?: string
  /** Epoch ms. */
  readonly at?: number
}

/** One handing-over of a message to this client. `token` is opaque to the core. */
export interface Delivery<Token = unknown> {
  readonly token: Token
  readonly message: WireMessage
  /** Hand-overs of this message so far, this one included: 1 on the first. */
  readonly deliveries: number
  /**
   * Number of this attempt, where the broker counts retries itself (`capabilities.retry` is
   * `in-place`). Absent where a retry is a new copy: the core then reads its own header.
   */
  readonly attempt?: number
  readonly nativeDeath?: NativeDeath
  /** The client library's own object. */
  readonly native: unknown
}

/**
 * The fate of a delivery.
 *
 * `retry`: it failed; show it again after `delayMs` (a multiple of `delayResolutionMs`; 0 means now).
 * `release`: it was not processed; show it again at once. Should not count as an attempt.
 * `move`: store a copy in queue `to`, then take it off this one: dead-lettering, and replay.
 * The copy has no expiry and no delay. Where the broker can do this atomically or drop a second
 * copy by id, the driver does.
 *
 * `headers` of `retry` and `move` are the reserved headers of the copy; reserved headers of the
 * original that are not listed are dropped, user headers stay. A driver that retries in place
 * ignores those of `retry`. Copy, wait for the confirm, then ack; never the reverse.
 */
export type Verdict =
  | { readonly kind: 'ack' }
  | { readonly kind: 'retry'; readonly delayMs: number; readonly headers: Readonly<Record<string, string>> }
  | { readonly kind: 'release' }
  | {
      readonly kind: 'move'
      readonly to: string
      /** Present when `to` is a subscription: the topic it belongs to. No other subscription gets the copy. */
      readonly topic?: string
      readonly headers: Readonly<Record<string, string>>
    }

export interface Settlement<Token = unknown> {
  readonly token: Token
  readonly verdict: Verdict
}

/** One item of a batch that did not go through. Items not listed succeeded. */
export interface Failure {
  readonly index: number
  readonly error: unknown
}

/** All methods may be called concurrently. None retries; none wraps errors. */
export interface Sender {
  /**
   * Sends 1..`limits.sendBatch` messages in order and resolves once the broker has taken
   * responsibility for each, or has failed it. Throws when all failed for one reason. On abort it
   * ends at once, failing the unconfirmed. Batches begun in order are stored in order.
   */
  send(batch: readonly Outgoing[], signal: AbortSignal): Promise<readonly Failure[]>
  close(): Promise<void>
}

export interface ReceiverOptions {
  /** Most deliveries handed over or fetched, and not yet settled. */
  readonly prefetch: number
  readonly leaseMs: number
  /** Shown by the broker's own tools where it can be. */
  readonly consumer: string
  /**
   * Called at most once, when the receiver can no longer settle (connection or channel gone):
   * its unsettled deliveries are no longer ours. Drivers whose leases outlive connections do not call it.
   */
  readonly onLost: (error: unknown) => void
}

/** All methods may be called concurrently. None retries; none wraps errors. */
export interface Receiver<Token = unknown> {
  /**
   * Resolves with 1..`max` deliveries as soon as any is there, or with none after `waitMs`. With
   * `waitMs` 0 too it returns what the broker has: a driver that is pushed to awaits the first push.
   * Aborting means "stop waiting", never "discard": what the broker has assigned is returned or kept.
   * A rejection ends this receiver's intake (the core opens another); it can still settle.
   */
  receive(max: number, waitMs: number, signal: AbortSignal): Promise<readonly Delivery<Token>[]>
  /**
   * Tells the broker the fate of deliveries. Settling what is settled is not a failure; settling
   * what is no longer ours fails with `LEASE_LOST` and never touches another delivery. On abort it ends
   * at once, failing what the broker has not answered; that may be settled again.
   */
  settle(batch: readonly Settlement<Token>[], signal?: AbortSignal): Promise<readonly Failure[]>
  /** Renews leases for `leaseMs` from now. Present exactly when `capabilities.lease` is `renewable`. */
  extend?(tokens: readonly Token[], leaseMs: number): Promise<readonly Failure[]>
  /**
   * Fetches no more, and gives back what was fetched but not yet returned by `receive`.
   * `settle` and `extend` go on working. May be called twice.
   */
  stop(): Promise<void>
  /**
   * Lets go: what is unsettled returns to the broker, fetched or not. Where leases end with the
   * connection it returns in the order it came, also what the broker pushed meanwhile.
   */
  close(): Promise<void>
}

/** An answer on its way to a process that waits for it. */
export interface Reply {
  readonly address: string
  /**
   * `causationId` is the id of the request, by which the core finds who waits; `correlationId` is the request's
   * own, as foreign clients expect it, or else its id. Content type and reserved headers must arrive too.
   */
  readonly message: WireMessage
}

/** The channel on which the answers to all requests of this process arrive. */
export interface ReplyChannel {
  /** What goes into `replyTo`; any client of the broker can send to it. At most 200 printable ASCII characters. */
  readonly address: string
  close(): Promise<void>
}

export interface ReplyOptions {
  readonly onReply: (message: WireMessage) => void
  /** Called at most once: nothing arrives any more, the core opens another channel. Never after `close`. */
  readonly onLost: (error: unknown) => void
}

/**
 * Request and reply. Answers need not be durable: who waits for one has a timeout. What a channel leaves in the
 * broker goes with its connection, or is cleaned up after a crash.
 */
export interface Replies {
  open(options: ReplyOptions, signal: AbortSignal): Promise<ReplyChannel>
  /** Sends answers. A channel that is gone is no failure: nobody waits there any more. */
  send(batch: readonly Reply[], signal: AbortSignal): Promise<readonly Failure[]>
}

/** One difference between what is declared and what the broker has. */
export interface Drift {
  /** `queue "orders"`, `binding of queue "orders"`, … */
  readonly object: string
  /** Absent when the whole object is missing. */
  readonly field?: string
  readonly expected: string
  readonly actual: string
}

/** Numbers of one queue; `undefined` where the broker cannot tell, never a guess. */
export interface QueueStats {
  /** Receivable now. */
  readonly ready: number | undefined
  /** Handed over, not settled. */
  readonly inFlight: number | undefined
  /** Waiting for a delay or a retry. */
  readonly delayed: number | undefined
  /** Entries of the dead-letter queue. Filled in by the core. */
  readonly dead: number | undefined
  readonly oldestAgeMs: number | undefined
  readonly consumers: number | undefined
  /**
   * Requests that this client has made for it since it was opened, this one and failed ones included, where the
   * broker bills each: what it costs. Not those of other processes, nor those for its topic or dead letters.
   */
  readonly requests?: number | undefined
}

export interface BrowsePage {
  readonly entries: readonly Delivery<undefined>[]
  /** Where the next page begins; absent on the last. */
  readonly cursor?: string
}

/** Topology and inspection. Not on the hot path. */
export interface Admin {
  /**
   * Creates what is missing; idempotent, and safe when many processes do it at once.
   * An object that exists with other settings fails with `DRIFT` and is left alone.
   */
  declare(topology: Topology, signal: AbortSignal): Promise<void>
  /** Writes nothing; lists each missing or drifted object, field by field. */
  verify(topology: Topology, signal: AbortSignal): Promise<readonly Drift[]>
  stats(source: Source, signal: AbortSignal): Promise<QueueStats>
  /** Looks without taking, oldest first. Present exactly when `capabilities.browse` is `free`. */
  browse?(source: Source, limit: number, cursor: string | undefined, signal: AbortSignal): Promise<BrowsePage>
  /** Removes all messages that are ready, and delayed ones where `purgesDelayed`; resolves with how many were, where the broker tells. */
  purge(source: Source, signal: AbortSignal): Promise<number | undefined>
  /** Deletes the object with its messages. What is not there is no error. */
  delete(topology: Topology, signal: AbortSignal): Promise<void>
}

export interface Driver {
  /** OpenTelemetry's `messaging.system`. Labels errors, spans and metrics. */
  readonly name: string
  /** Where the broker is, for messages to people: host, port, vhost. Never a password. */
  readonly address: string
  readonly capabilities: Capabilities
  readonly admin: Admin
  /** Connects unless connected, and proves that the broker answers. One attempt. */
  connect(signal: AbortSignal): Promise<void>
  /** Connects unless connected. Does not declare the destination. */
  openSender(destination: Destination, signal: AbortSignal): Promise<Sender>
  /** Connects unless connected. Does not declare the source; a missing one fails with `NOT_FOUND`. */
  openReceiver(source: Source, options: ReceiverOptions, signal: AbortSignal): Promise<Receiver>
  /** Present exactly when `capabilities.replies`. */
  readonly replies?: Replies
  /** Sorts a native error. Total and pure: what it does not know is `UNKNOWN`, not retryable. */
  classify(error: unknown): Classified
  /** The client library's own connection or client. */
  native(): unknown
  /** Lets go of connections. The core has closed every sender and receiver before. May be called twice. */
  close(): Promise<void>
}

export type { Capabilities, Limits }
