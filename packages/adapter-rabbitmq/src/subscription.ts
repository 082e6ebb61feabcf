import type { SubscriptionSpec } from '@msgloop/core/driver'
import type { Channel } from 'amqplib'
import { type BrokerObject, exchangeObject } from './objects.js'
import { splitterName } from './partitions.js'

/**
 * AMQP can make a binding, not look for one. So what a subscription is bound by is written down: as the
 * alternate exchange of an exchange through which nothing ever goes, since that is the one free text the
 * broker compares, and tells, when an exchange is declared again. It must begin as all of our names do:
 * whoever declares needs permission to write to what it names.
 */
const NOTE = 'msgloop.v1.bindings '
const OF = ' of '

export const noteName = (subscription: string): string => `msgloop.v1.subscription-${subscription}`

export function noteOf(spec: SubscriptionSpec): BrokerObject {
  return exchangeObject(
    `subscription "${spec.name}"`,
    noteName(spec.name),
    {
      type: 'fanout',
      durable: true,
      internal: true,
      auto_delete: false,
      'alternate-exchange': `${NOTE}${spec.patterns.join(' ')}${OF}${spec.topic}`,
    },
    (drift) => {
      if (drift.field !== 'alternate-exchange') return drift
      const patterns = spec.patterns.join(' ')
      const [actual = '', topic] = drift.actual.replace(NOTE, '').split(OF)
      return topic !== undefined && actual === patterns
        ? { ...drift, field: 'topic', expected: spec.topic, actual: topic }
        : { ...drift, field: 'patterns', expected: patterns, actual }
    },
  )
}

/** Idempotent. Fails with 404 where the topic is missing. What several patterns match, the broker routes once. */
export async function bindToTopic(channel: Channel, spec: SubscriptionSpec): Promise<void> {
  for (const pattern of spec.patterns)
    if (spec.order === 'none') await channel.bindQueue(spec.name, spec.topic, pattern)
    else await channel.bindExchange(splitterName(spec.name), spec.topic, pattern)
}
