import type { QueueDefinition } from './define-queue.js'
import type { SubscriptionOptions, TopicDefinition } from './define-topic.js'
import type { Drift } from './driver.js'

/** What an application needs in place, as it defines it. */
export interface TopologyDefinition {
  /** By definition, or by name with default options. */
  readonly queues?: readonly (QueueDefinition<unknown> | string)[]
  readonly topics?: readonly TopicTopologyDefinition[]
}

export interface TopicTopologyDefinition {
  readonly topic: TopicDefinition<unknown> | string
  /** By name. */
  readonly subscriptions?: Readonly<Record<string, SubscriptionOptions>>
}

/** One object of a plan. */
export interface PlannedObject {
  readonly kind: 'queue' | 'dead-letter queue' | 'topic' | 'subscription'
  readonly name: string
  /**
   * `keep`: it is as declared. `create`: it, or a part of it, is missing. `refuse`: it exists and differs, and
   * nothing changes what exists.
   */
  readonly action: 'keep' | 'create' | 'refuse'
  /** What is missing or differs, field by field. */
  readonly drifts: readonly Drift[]
}

/** What would be done, in the order it is done. */
export interface TopologyPlan {
  /** The driver's name. */
  readonly broker: string
  readonly address: string
  readonly objects: readonly PlannedObject[]
}

/** Queues and topics of an application against those of its broker, to be run before it starts. */
export interface BrokerTopology {
  /**
   * Compares, and writes nothing.
   * @throws MsgloopError `UNSUPPORTED` for what the broker lacks; `INVALID` for two definitions of one name
   * @example for (const { name, action } of (await broker.topology.plan({ queues: [orders] })).objects) console.log(action, name)
   */
  plan(definition: TopologyDefinition): Promise<TopologyPlan>
  /**
   * Creates what is missing, and resolves with the plan it followed. Safe when many processes do it at once.
   * @throws MsgloopError `DRIFT` when anything differs: then nothing was created
   */
  apply(definition: TopologyDefinition): Promise<TopologyPlan>
  /** What is missing or differs; `[]` when all is as declared. Writes nothing. */
  verify(definition: TopologyDefinition): Promise<readonly Drift[]>
}

/** One line for people: what it is, and what it should be. */
export function describeDrift({ object, field, expected, actual }: Drift): string {
  return field === undefined ? `${object} is missing` : `${object}: ${field} is ${actual}, not ${expected}`
}
