import { DriverError, type Source, type TopicSpec, type Topology } from '@msgloop/core/driver'
import type { Channel } from 'amqplib'
import { bindForDelays } from './delay-levels.js'
import { type BrokerObject, exchangeObject, queueObject } from './objects.js'
import { queueSettings } from './settings.js'
import { bindToTopic, noteName, noteOf } from './subscription.js'

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
  if (topology.order !== 'none') throw unsupported('order by key is not possible here yet')
  if (topology.lanes) throw unsupported('lanes are not possible here yet')
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

const sourceObject = (spec: Source): BrokerObject => queueObject(spec.name, queueSettings(spec))

/** All that the broker compares when it is declared again, in the order of declaring. */
export function objectsOf(topology: Topology): readonly BrokerObject[] {
  if (topology.kind === 'topic') return [topicObject(topology)]
  if (topology.kind === 'queue') return [sourceObject(topology)]
  return [sourceObject(topology), noteOf(topology)]
}

/** Ties the objects together. Idempotent. */
export async function bind(channel: Channel, topology: Topology): Promise<void> {
  if (topology.kind === 'topic') return
  await bindForDelays(channel, [topology.name])
  if (topology.kind === 'subscription') await bindToTopic(channel, topology)
}

/** What is not there is no error to the broker. */
export async function remove(channel: Channel, topology: Topology): Promise<void> {
  if (topology.kind === 'topic') await channel.deleteExchange(topology.name)
  else await channel.deleteQueue(topology.name)
  if (topology.kind === 'subscription') await channel.deleteExchange(noteName(topology.name))
}
