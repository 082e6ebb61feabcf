export type { Batch, BatchConsumeOptions, BatchHandler } from './batch-handler.js'
export type { Broker, BrokerOptions, Health } from './broker.js'
export type { CircuitBreaker, CircuitBreakerOptions, CircuitState } from './circuit-breaker.js'
export { circuitBreaker } from './circuit-breaker.js'
export type { Clock } from './clock.js'
export { systemClock } from './clock.js'
export type { Codec } from './codec.js'
export { bytes, json, text } from './codec.js'
export type { ConsumeOptions, Consumer, ConsumerState, Handler, Middleware } from './consumer.js'
export { createBroker } from './create-broker.js'
export type {
  AttemptRecord,
  CanaryResult,
  DeadLetter,
  DeadLetterEdit,
  DeadLetterFilter,
  DeadLetterPage,
  DeadLetters,
  ErrorRecord,
  ListOptions,
  PageOptions,
  ReplayOptions,
  ReplayProgress,
  ReplayResult,
} from './dead-letters.js'
export type { ErrorClass, QueueDefinition, QueueOptions } from './define-queue.js'
export { defineQueue } from './define-queue.js'
export type { SubscriptionOptions, TopicDefinition, TopicOptions } from './define-topic.js'
export { defineTopic } from './define-topic.js'
export type { Capabilities, DeadReason, Drift, Guarantee, Lane, Limits, QueueStats } from './driver.js'
export type { Duration } from './duration.js'
export { milliseconds } from './duration.js'
export type { ErrorCode, SendOutcome } from './error.js'
export { MsgloopError, Reject } from './error.js'
export type { FlowEvent, FlowStep } from './flow.js'
export { flow, onFlow } from './flow.js'
export type { Inbox, InboxOutcome, Mark } from './inbox.js'
export type { MemoryInboxOptions, MemoryTransaction } from './memory-inbox.js'
export { memoryInbox } from './memory-inbox.js'
export type { Delivery, Message } from './message.js'
export type { Outbox, OutboxOptions } from './outbox.js'
export type {
  BatchItem,
  MessageSource,
  Queue,
  ReceiveOptions,
  RequestOptions,
  SendOptions,
  SendResult,
} from './queue.js'
export type { RateLimitOptions } from './rate-limit.js'
export { rateLimit } from './rate-limit.js'
export type { RetryPolicy } from './retry.js'
export { custom, exponential, fixed, immediate, linear, RetryAfter } from './retry.js'
export type { SchemaIssue, SchemaResult, StandardSchema } from './standard-schema.js'
export type { PublishItem, PublishOptions, Subscription, Topic } from './topic.js'
export type {
  BrokerTopology,
  PlannedObject,
  TopicTopologyDefinition,
  TopologyDefinition,
  TopologyPlan,
} from './topology-plan.js'
export { describeDrift } from './topology-plan.js'
