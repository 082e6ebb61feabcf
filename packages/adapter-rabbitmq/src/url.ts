import type { ConnectionOptions } from 'node:tls'
import { DriverError } from '@msgloop/core/driver'

export interface RabbitmqOptions {
  /**
   * `amqp://user:pass@host:5672/vhost` or `amqps://…`, with `?heartbeat=<seconds>` if you like.
   * Percent-encode what is special in a URL. No path means the vhost `/`.
   */
  readonly url: string
  /** Seconds between heartbeats; a broker that misses two is taken for dead. 1 to 600. Default: the URL's, or 10. */
  readonly heartbeat?: number
  /** Longest one attempt to connect may take. Default 10 000. */
  readonly connectTimeoutMs?: number
  /** Shown beside the connections in the broker's own tools. Default `msgloop`. */
  readonly name?: string
  /** For `amqps`: `ca`, `cert`, `key`, … of Node's `tls.connect`. */
  readonly tls?: Omit<ConnectionOptions, 'timeout'>
}

/** Where and how to connect, checked. Holds the password: never put it in a message. */
export interface Target {
  readonly protocol: 'amqp' | 'amqps'
  readonly hostname: string
  readonly port: number
  readonly username: string
  readonly password: string
  readonly vhost: string
  readonly heartbeat: number
  readonly connectTimeoutMs: number
  readonly name: string
  readonly tls: Omit<ConnectionOptions, 'timeout'>
  /** For people: no user, no password. */
  readonly address: string
}

const KNOWN = ['url', 'heartbeat', 'connectTimeoutMs', 'name', 'tls']

/** @throws DriverError `INVALID`; neither its message nor its cause repeats the URL, which holds a password */
export function resolveTarget(options: RabbitmqOptions): Target {
  for (const key of Object.keys(options))
    if (!KNOWN.includes(key)) throw invalid(`unknown option "${key}"; there are ${KNOWN.join(', ')}`)
  const url = parse(options.url)
  const protocol = url.protocol === 'amqp:' ? 'amqp' : url.protocol === 'amqps:' ? 'amqps' : undefined
  if (!protocol) throw invalid(`the URL begins with "${url.protocol}"; it must be amqp:// or amqps://`)
  for (const key of url.searchParams.keys())
    if (key !== 'heartbeat') throw invalid(`unknown URL parameter "${key}"; there is "heartbeat"`)
  // An unencoded "/" in a password moves the rest of it into the path.
  if (/@|%40/i.test(url.pathname))
    throw invalid(
      'the vhost in the URL holds "@": in user, password and vhost write "/" as "%2F" and "@" as "%40"',
    )
  const hostname = url.hostname.replace(/^\[|\]$/g, '') || 'localhost'
  const port = url.port === '' ? (protocol === 'amqp' ? 5672 : 5671) : Number(url.port)
  const vhost = decoded('vhost', url.pathname.slice(1)) || '/'
  const anonymous = url.username === '' && url.password === ''
  const host = hostname.includes(':') ? `[${hostname}]` : hostname
  return {
    protocol,
    hostname,
    port,
    username: anonymous ? 'guest' : decoded('user', url.username),
    password: anonymous ? 'guest' : decoded('password', url.password),
    vhost,
    heartbeat: whole('heartbeat', options.heartbeat ?? Number(url.searchParams.get('heartbeat') ?? 10), 600),
    connectTimeoutMs: whole('connectTimeoutMs', options.connectTimeoutMs ?? 10_000, 600_000),
    name: options.name ?? 'msgloop',
    tls: options.tls ?? {},
    address: `${protocol}://${host}:${port}${vhost === '/' ? '' : `/${encodeURIComponent(vhost)}`}`,
  }
}

function parse(url: unknown): URL {
  try {
    return new URL(String(url))
  } catch {
    throw invalid('the URL cannot be parsed; give amqp://user:password@host:5672/vhost')
  }
}

function decoded(part: string, text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw invalid(`the ${part} in the URL is not percent-encoded correctly; write "%" as "%25"`)
  }
}

function whole(option: string, value: number, max: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= max) return value
  throw invalid(`"${option}" is ${value}; give a whole number from 1 to ${max}`)
}

const invalid = (message: string): DriverError => new DriverError('INVALID', `rabbitmq: ${message}`)
