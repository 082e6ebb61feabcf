import { type Drift, DriverError, type QueueSpec, type Topology } from '@msgloop/core/driver'
import type { Channel } from 'amqplib'
import { below, DELIVERY, deliveryPattern, levelName, levelPattern, levelTtlMs, UNROUTED } from './delay.js'

/**
 * From 4.0 on a quorum queue without a limit drops what was given back 20 times, and a look into a
 * dead-letter queue gives back. "Unlimited" (-1) exists from 4.0 on; 3.x takes it for less than none and
 * drops at the first return (measured). Arguments can never change, so the same large number is declared
 * everywhere and an upgrade finds no difference.
 */
const NEVER = 2_000_000_000

/** The longest `x-message-ttl` the broker takes: ten years. */
const LONGEST_TTL_MS = 315_360_000_000

/** Arguments of a queue, and its `durable`, `auto_delete` and `exclusive`. */
export type Settings = Readonly<Record<string, string | number | boolean>>

/** @throws DriverError `UNSUPPORTED` for what `capabilities` deny: topics, order by key, lanes, dropping duplicates */
export function asQueue(topology: Topology): QueueSpec {
  const unsupported = (what: string): DriverError =>
    new DriverError('UNSUPPORTED', `rabbitmq: ${topology.kind} "${topology.name}": ${what}`)
  if (topology.kind !== 'queue') throw unsupported('there are no topics here yet')
  if (topology.order !== 'none') throw unsupported('order by key is not possible here yet')
  if (topology.lanes) throw unsupported('lanes are not possible here yet')
  if (topology.dedupWindowMs > 0) throw unsupported('the broker cannot drop duplicates')
  return topology
}

/** At-least-once dead-lettering is silently off unless the queue refuses what it has no room for. */
const SAFE_DEAD_LETTERING = { 'x-dead-letter-strategy': 'at-least-once', 'x-overflow': 'reject-publish' }

export function queueSettings(spec: QueueSpec): Settings {
  if (spec.role === 'work' && spec.deadLetter !== undefined)
    return {
      durable: true,
      'x-queue-type': 'quorum',
      'x-delivery-limit': spec.deliveryLimit ?? NEVER,
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': spec.deadLetter,
      ...SAFE_DEAD_LETTERING,
    }
  return {
    durable: true,
    'x-queue-type': 'quorum',
    'x-delivery-limit': NEVER,
    ...(spec.retentionMs === undefined
      ? {}
      : { 'x-message-ttl': Math.min(spec.retentionMs, LONGEST_TTL_MS) }),
  }
}

export async function assertQueue(channel: Channel, name: string, settings: Settings): Promise<void> {
  const { durable, auto_delete, exclusive, ...args } = settings
  await channel.assertQueue(name, {
    durable: durable === true,
    autoDelete: auto_delete === true,
    exclusive: exclusive === true,
    arguments: args,
  })
}

/** What delayed messages of a queue come back through. Idempotent. */
export async function bindForDelays(channel: Channel, queue: string): Promise<void> {
  await channel.assertExchange(UNROUTED, 'fanout')
  await assertQueue(channel, UNROUTED, { durable: true, 'x-queue-type': 'quorum', 'x-delivery-limit': NEVER })
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

/** One field that differs, as the broker's 406 names it. */
export interface Inequivalence {
  readonly field: string
  readonly actual: string
  /** Absent where it is the same as that of the value declared. */
  readonly type?: string
}

/** The actual value where the broker has none set. */
const NONE = 'none'
/** The broker cuts its text at 255 bytes. */
const UNTOLD = 'something else'

/** Reads `inequivalent arg 'x' for queue 'q' in vhost '/': received … but current is …`. */
export function inequivalence(error: unknown): Inequivalence | undefined {
  const message = error instanceof Error ? error.message : ''
  const field = /inequivalent arg '([^']+)'/.exec(message)?.[1]
  if (field === undefined) return undefined
  const current = / but current is (.*?)"?$/s.exec(message)?.[1] ?? ''
  if (current === NONE) return { field, actual: NONE }
  const [, actual, type] = /^(?:the value )?'(.*?)'(?: of type '(\w+)')?$/s.exec(current) ?? []
  return { field, actual: actual ?? UNTOLD, ...(type === undefined ? {} : { type }) }
}

/** The settings a queue would have to be declared with not to differ in this field; `undefined` if untold. */
export function adopt(settings: Settings, { field, actual, type }: Inequivalence): Settings | undefined {
  if (actual === UNTOLD) return undefined
  const { [field]: declared, ...others } = settings
  if (actual === NONE) return others
  if (actual === 'true' || actual === 'false') return { ...others, [field]: actual === 'true' }
  const isText = type === undefined ? typeof declared === 'string' : type.endsWith('str')
  return { ...others, [field]: isText ? actual : Number(actual) }
}

export function driftError(spec: QueueSpec, { field, actual }: Inequivalence, cause: unknown): DriverError {
  const message =
    `queue "${spec.name}" exists with other settings: ${field} is ${actual}, wanted ${wanted(spec, field)}; ` +
    `connect with topology: 'verify' or 'none' to adopt it as it is`
  return new DriverError('DRIFT', message, { cause })
}

export function driftOf(spec: QueueSpec, { field, actual }: Inequivalence): Drift {
  return { object: `queue "${spec.name}"`, field, expected: wanted(spec, field), actual }
}

const wanted = (spec: QueueSpec, field: string): string => String(queueSettings(spec)[field] ?? NONE)
