import { type Drift, DriverError } from '@msgloop/core/driver'
import type { Channel } from 'amqplib'

/** Arguments of a queue or exchange, and its `durable`, `auto_delete`, `exclusive`, `type` and `internal`. */
export type Settings = Readonly<Record<string, string | number | boolean>>

/** Something the broker compares with what it has when it is declared again. */
export interface BrokerObject {
  /** `queue "orders"`. */
  readonly label: string
  readonly settings: Settings
  /** Fails with 404 where it is missing. */
  check(channel: Channel): Promise<unknown>
  /** Declares it with these settings. Fails with 406 where it has others. */
  assert(channel: Channel, settings: Settings): Promise<unknown>
  /** Says a difference in the words of who declared it, where its native name would tell nobody anything. */
  explain?(drift: Drift): Drift
}

export function queueObject(name: string, settings: Settings): BrokerObject {
  return {
    label: `queue "${name}"`,
    settings,
    check: (channel) => channel.checkQueue(name),
    assert: (channel, declared) => assertQueue(channel, name, declared),
  }
}

export function exchangeObject(
  label: string,
  name: string,
  settings: Settings,
  explain?: BrokerObject['explain'],
): BrokerObject {
  return {
    label,
    settings,
    check: (channel) => channel.checkExchange(name),
    assert: (channel, { type, durable, internal, auto_delete, ...args }) =>
      channel.assertExchange(name, String(type), {
        durable: durable === true,
        internal: internal === true,
        autoDelete: auto_delete === true,
        arguments: args,
      }),
    ...(explain && { explain }),
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

/** One field that differs, as the broker's 406 names it. */
export interface Inequivalence {
  readonly field: string
  readonly actual: string
  /** Absent where it is the same as that of the value declared. */
  readonly type?: string
  /** The broker cuts its text at 255 bytes: `actual` is a part of it. */
  readonly cut?: true
}

/** The actual value where the broker has none set. */
const NONE = 'none'
/** The actual value where the text was cut before it. */
const UNTOLD = 'something else'

/** Reads `inequivalent arg 'x' for queue 'q' in vhost '/': received … but current is …`. */
export function inequivalence(error: unknown): Inequivalence | undefined {
  const message = error instanceof Error ? error.message : ''
  const field = /inequivalent arg '([^']+)'/.exec(message)?.[1]
  if (field === undefined) return undefined
  const current = / but current is (.*?)"?$/s.exec(message)?.[1] ?? ''
  if (current === NONE) return { field, actual: NONE }
  const [, actual, type] = /^(?:the value )?'(.*?)'(?: of type '(\w+)')?$/s.exec(current) ?? []
  if (actual !== undefined) return { field, actual, ...(type === undefined ? {} : { type }) }
  const [, part] = /^(?:the value )?'(.+)\.\.\.$/s.exec(current) ?? []
  return { field, actual: part === undefined ? UNTOLD : `${part}…`, cut: true }
}

/**
 * The settings an object would have to be declared with not to differ in this field; `undefined` if untold.
 * Left out where the text was cut: that makes it shorter, and the broker may tell the value at the second try.
 */
export function adopt(settings: Settings, { field, actual, type, cut }: Inequivalence): Settings | undefined {
  const { [field]: declared, ...others } = settings
  if (cut) return declared === undefined ? undefined : others
  if (actual === NONE) return others
  if (actual === 'true' || actual === 'false') return { ...others, [field]: actual === 'true' }
  const isText = type === undefined ? typeof declared === 'string' : type.endsWith('str')
  return { ...others, [field]: isText ? actual : Number(actual) }
}

export function driftError({ object, field, expected, actual }: Drift, cause: unknown): DriverError {
  const message =
    `${object} exists with other settings: ${field} is ${actual}, wanted ${expected}; ` +
    `connect with topology: 'verify' or 'none' to adopt it as it is`
  return new DriverError('DRIFT', message, { cause })
}

export function driftOf(object: BrokerObject, { field, actual }: Inequivalence): Drift {
  const drift = { object: object.label, field, expected: String(object.settings[field] ?? NONE), actual }
  return object.explain?.(drift) ?? drift
}
