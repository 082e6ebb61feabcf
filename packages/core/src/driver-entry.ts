export { briefly, GRACE_MS } from './briefly.js'
export type { CancelTimer, Clock } from './clock.js'
export { sleep, systemClock } from './clock.js'
export type {
  Admin,
  BrowsePage,
  Capabilities,
  Classified,
  DeadReason,
  Delivery,
  Destination,
  Drift,
  Driver,
  ErrorCode,
  Failure,
  Guarantee,
  Lane,
  Limits,
  NativeDeath,
  Outgoing,
  QueueSpec,
  QueueStats,
  Receiver,
  ReceiverOptions,
  Replies,
  Reply,
  ReplyChannel,
  ReplyOptions,
  Sender,
  SendOutcome,
  Settlement,
  Source,
  SubscriptionSpec,
  TopicSpec,
  Topology,
  Verdict,
  WireMessage,
} from './driver.js'
export { DriverError, lostError } from './driver-error.js'
export { BOOK_HEADERS, FIELD_HEADERS, RESERVED_PREFIX } from './headers.js'
export { uuidTime } from './id.js'
export { ORDER_PARTITIONS, partitionOf } from './partition.js'
export { PushBuffer } from './push-buffer.js'
export { SharedAttempt } from './shared-attempt.js'
export { MOST_PATTERNS, SUBJECT_BYTES, SUBJECT_SEGMENTS, subjectMatcher } from './subject.js'
export { untilAborted } from './until-aborted.js'
