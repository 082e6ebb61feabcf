import {
  ORDER_PARTITIONS,
  partitionOf,
  type Source,
  type SubscriptionSpec,
  type WireMessage,
} from '@msgloop/core/driver'
import type { Channel } from 'amqplib'
import { type BrokerObject, exchangeObject } from './objects.js'

/** Queue of one partition of a queue with order by key. */
export const partitionQueue = (name: string, partition: number): string => `${name}.p${partition}`

/** What tells a message's turn: its key, or for want of one its id. */
const partitionFor = ({ key, id }: Pick<WireMessage, 'key' | 'id'>): number => partitionOf(key ?? id)

/** The queue of the partition that a message belongs to. */
export const queueFor = (name: string, message: Pick<WireMessage, 'key' | 'id'>): string =>
  partitionQueue(name, partitionFor(message))

/** All queues of the broker that hold messages of a source. */
export const queuesOf = ({ name, order }: Pick<Source, 'name' | 'order'>): readonly string[] =>
  order === 'none' ? [name] : Array.from({ length: ORDER_PARTITIONS }, (_, at) => partitionQueue(name, at))

/**
 * Written on what is published to a topic, as an exchange cannot compute it: subscriptions with order by key
 * route by it.
 */
export const PARTITION_HEADER = 'msgloop-partition'
export const partitionHeader = (message: WireMessage): string => String(partitionFor(message))

export const splitterName = (subscription: string): string => `msgloop.v1.partitions-${subscription}`
const restName = (subscription: string): string => `msgloop.v1.unpartitioned-${subscription}`

/** Exchanges between a topic and the partitions of a subscription: by the header, and for what has none. */
export function splitterObjects({ name }: SubscriptionSpec): readonly BrokerObject[] {
  const common = { durable: true, internal: true, auto_delete: false }
  return [
    exchangeObject(`unpartitioned messages of subscription "${name}"`, restName(name), {
      type: 'fanout',
      ...common,
    }),
    exchangeObject(`partitions of subscription "${name}"`, splitterName(name), {
      type: 'headers',
      ...common,
      'alternate-exchange': restName(name),
    }),
  ]
}

/** Idempotent. */
export async function bindPartitions(channel: Channel, spec: SubscriptionSpec): Promise<void> {
  const queues = queuesOf(spec)
  for (const [at, queue] of queues.entries())
    await channel.bindQueue(queue, splitterName(spec.name), '', {
      'x-match': 'all',
      [PARTITION_HEADER]: String(at),
    })
  // What another client published comes without the header; one partition for all keeps it in order.
  await channel.bindQueue(queues[0] ?? '', restName(spec.name), '')
}

export async function removeSplitter(channel: Channel, { name }: SubscriptionSpec): Promise<void> {
  await channel.deleteExchange(splitterName(name))
  await channel.deleteExchange(restName(name))
}
