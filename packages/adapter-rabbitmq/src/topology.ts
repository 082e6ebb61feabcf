import { DriverError, type TopicSpec, type Topology } from '@msgloop/core/driver'
import type { Channel } from 'amqplib'
import { bindForDelays } from './delay-levels.js'
import { type BrokerObject, exchangeObject, queueObject } from './objects.js'
import { bindPartitions, queuesOf, removeSplitter, splitterObjects } from './partitions.js'
import { queueSettings } from './settings.js'
import { bindToTopic, noteName, noteOf } from './subscription.js'
import { workersName } from './workers.js'

/** @throws DriverError `UNSUPPORTED` for what `capabilities` deny, `INVALID` for names the broker keeps for itself */
export function checked<T extends Topology>(topology: T): T {
  const { kind, name } = topology
  const unsupported = (what: string): DriverError =>
    new DriverError('UNSUPPORTED', `rabbitmq: ${kind} "${name}": ${what}`)
  if (name.startsWith('amq.') || name.startsWith('msgloop.v'))
    throw new DriverError(
      'INVALID',
      `rabbitmq: "${name}" cannot be the name of a ${kind}: those beginning "amq." are the broker's own, "msgloop.v" this adapter's`,
      { outcome: 'rejected' },
    )
  if (topology.kind === 'topic') return topology
  if (topology.dedupWindowMs > 0) throw unsupported('the broker cannot drop duplicates')
  return topology
}

const topicObject = ({ name }: TopicSpec): BrokerObject =>
  exchangeObject(`topic "${name}"`, name, {
    type: 'topic',
    durable: true,
    internal: false,
    auto_delete: false,
  })

/** All that the broker compares when it is declared again, in the order of declaring. */
export function objectsOf(topology: Topology): readonly BrokerObject[] {
  if (topology.kind === 'topic') return [topicObject(topology)]
  const settings = queueSettings(topology)
  const queues = queuesOf(topology).map((queue) => queueObject(queue, settings))
  if (topology.kind === 'queue') return queues
  return [...queues, ...(topology.order === 'none' ? [] : splitterObjects(topology)), noteOf(topology)]
}

/** Ties the objects together. Idempotent. */
export async function bind(channel: Channel, topology: Topology): Promise<void> {
  if (topology.kind === 'topic') return
  await bindForDelays(channel, queuesOf(topology))
  if (topology.kind !== 'subscription') return
  if (topology.order !== 'none') await bindPartitions(channel, topology)
  await bindToTopic(channel, topology)
}

/** What is not there is no error to the broker. */
export async function remove(channel: Channel, topology: Topology): Promise<void> {
  if (topology.kind === 'topic') return void (await channel.deleteExchange(topology.name))
  for (const queue of queuesOf(topology)) await channel.deleteQueue(queue)
  if (topology.order !== 'none') await channel.deleteQueue(workersName(topology.name))
  if (topology.kind !== 'subscription') return
  if (topology.order !== 'none') await removeSplitter(channel, topology)
  await channel.deleteExchange(noteName(topology.name))
}
