import { DriverError, type Drift, type QueueSpec, type Topology } from '@msgloop/core/driver'
import type { Channel } from 'amqplib'
import { below, DELIVERY, deliveryPattern, levelName, levelPattern, levelTtlMs, UNROUTED } from './delay.js'

/**
 * From 4.0 on a quorum queue without a limit drops what was given back 20 times, and a look into a
 * dead-letter queue gives back. "Unlimited" (-1) is refused by 3.x and arguments can never change, so
 * the same large number is declared everywhere and an upgrade finds no difference.
 */
const NEVER = 2_000_000_000

/** The longest `x-message-ttl` the broker takes: ten years. */
const LONGEST_TTL_MS = 315_360_000_000

type Arguments = Readonly<Record<string, string | number>>

/** @throws DriverError `UNSUPPORTED` for topics and subscriptions */
export function asQueue(topology: Topology): QueueSpec {
  if (topology.kind === 'queue') return topology
  throw new DriverError('UNSUPPORTED', `rabbitmq: no topics yet, so no ${topology.kind} "${topology.name}"`)
}

/** At-least-once dead-lettering is silently off unless the queue refuses what it has no room for. */
const SAFE_DEAD_LETTERING = { 'x-dead-letter-strategy': 'at-least-once', 'x-overflow': 'reject-publish' }

export function queueArguments(spec: QueueSpec): Arguments {
  if (spec.role === 'work' && spec.deadLetter !== undefined)
    return {
      'x-queue-type': 'quorum',
      'x-delivery-limit': spec.deliveryLimit ?? NEVER,
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': spec.deadLetter,
      ...SAFE_DEAD_LETTERING,
    }
  return {
    'x-queue-type': 'quorum',
    'x-delivery-limit': NEVER,
    ...(spec.retentionMs === undefined ? {} : { 'x-message-ttl': Math.min(spec.retentionMs, LONGEST_TTL_MS) }),
  }
}

export async function declareQueue(channel: Channel, spec: QueueSpec): Promise<void> {
  await channel.assertQueue(spec.name, { durable: true, arguments: queueArguments(spec) })
  await bindForDelays(channel, spec.name)
}

/** What delayed messages of a queue come back through. Idempotent. */
export async function bindForDelays(channel: Channel, queue: string): Promise<void> {
  await channel.assertExchange(UNROUTED, 'fanout')
  await channel.assertQueue(UNROUTED, {
    durable: true,
    arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': NEVER },
  })
  await channel.bindQueue(UNROUTED, UNROUTED, '')
  // Without an alternate exchange, 32 messages for a deleted queue stop the lowest level for everybody.
  await channel.assertExchange(DELIVERY, 'topic', { alternateExchange: UNROUTED })
  await channel.bindQueue(queue, DELIVERY, deliveryPattern(queue))
}

/** The delay queues from `level` down, lowest first, so that each finds the next. Idempotent. */
export async function declareLevels(channel: Channel, from: number, to: number): Promise<void> {
  for (let level = from; level <= to; level++) {
    const name = levelName(level)
    await channel.assertExchange(name, 'topic')
    await channel.assertQueue(name, {
      durable: true,
      arguments: {
        'x-queue-type': 'quorum',
        'x-message-ttl': levelTtlMs(level),
        'x-dead-letter-exchange': below(level),
        ...SAFE_DEAD_LETTERING,
      },
    })
    await channel.bindQueue(name, name, levelPattern(level, 1))
    await channel.bindExchange(below(level), name, levelPattern(level, 0))
  }
}

/** One field that differs, as the broker's 406 names it. `actual` is absent when its text was cut at 255 bytes. */
export interface Inequivalence {
  readonly field: string
  readonly actual: string | number | boolean | undefined
  readonly told: boolean
}

/** Reads `inequivalent arg 'x' for queue 'q' in vhost '/': received … but current is …`. */
export function inequivalence(error: unknown): Inequivalence | undefined {
  const message = error instanceof Error ? error.message : ''
  const field = /inequivalent arg '([^']+)'/.exec(message)?.[1]
  if (field === undefined) return undefined
  const current = / but current is (.*?)"?$/s.exec(message)?.[1]
  if (current === 'none') return { field, actual: undefined, told: true }
  const [, value, type] = /^(?:the value )?'(.*)'(?: of type '(\w+)')?$/s.exec(current ?? '') ?? []
  if (value === undefined) return { field, actual: undefined, told: false }
  if (value === 'true' || value === 'false') return { field, actual: value === 'true', told: true }
  return { field, actual: type === undefined || type.endsWith('str') ? value : Number(value), told: true }
}

export function driftError(name: string, wanted: Arguments, found: Inequivalence, cause: unknown): DriverError {
  return new DriverError(
    'DRIFT',
    `queue "${name}" exists with other settings: ${found.field} is ${shown(found)}, wanted ${wanted[found.field] ?? 'none'}; ` +
      `connect with topology: 'verify' or 'none' to adopt it as it is, or delete it`,
    { cause },
  )
}

export function driftOf(name: string, wanted: unknown, found: Inequivalence): Drift {
  const expected = wanted === undefined ? 'none' : String(wanted)
  return { object: `queue "${name}"`, field: found.field, expected, actual: shown(found) }
}

const shown = (found: Inequivalence): string =>
  found.told ? String(found.actual ?? 'none') : 'something else'
