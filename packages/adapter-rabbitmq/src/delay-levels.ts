import type { Channel } from 'amqplib'
import { below, DELIVERY, deliveryPattern, levelName, levelPattern, levelTtlMs, UNROUTED } from './delay.js'
import { assertQueue } from './objects.js'
import { NEVER, SAFE_DEAD_LETTERING } from './settings.js'

/** What delayed messages of some queues come back through. Idempotent. */
export async function bindForDelays(channel: Channel, queues: readonly string[]): Promise<void> {
  await channel.assertExchange(UNROUTED, 'fanout')
  await assertQueue(channel, UNROUTED, { durable: true, 'x-queue-type': 'quorum', 'x-delivery-limit': NEVER })
  await channel.bindQueue(UNROUTED, UNROUTED, '')
  // Without an alternate exchange, 32 messages for a deleted queue stop the lowest level for everybody.
  await channel.assertExchange(DELIVERY, 'topic', { alternateExchange: UNROUTED })
  for (const queue of queues) await channel.bindQueue(queue, DELIVERY, deliveryPattern(queue))
}

/** The delay queues from `level` down, lowest first, so that each finds the next. Idempotent. */
export async function declareLevels(channel: Channel, from: number, to: number): Promise<void> {
  for (let level = from; level <= to; level++) {
    const name = levelName(level)
    await channel.assertExchange(name, 'topic')
    await assertQueue(channel, name, {
      durable: true,
      'x-queue-type': 'quorum',
      'x-message-ttl': levelTtlMs(level),
      'x-dead-letter-exchange': below(level),
      ...SAFE_DEAD_LETTERING,
    })
    await channel.bindQueue(name, name, levelPattern(level, 1))
    await channel.bindExchange(below(level), name, levelPattern(level, 0))
  }
}
