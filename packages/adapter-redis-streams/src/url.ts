import type { ConnectionOptions } from 'node:tls'
import { DriverError } from '@msgloop/core/driver'

export interface RedisStreamsOptions {
  /**
   * `redis://user:pass@host:6379/0` or `rediss://…` (TLS); for a cluster
   * `redis+cluster://user:pass@host:6379,host:6379` or `rediss+cluster://…`; with `?prefix=<text>` if
   * you like. Percent-encode what is special in a URL.
   */
  readonly url: string
  /** Begins every key. Default: the URL's, or `msgloop`. */
  readonly prefix?: string
  /** Longest one attempt to connect may take. Default 10 000. */
  readonly connectTimeoutMs?: number
  /** A server that owes an answer for so long is taken for dead. Default 10 000. */
  readonly replyTimeoutMs?: number
  /** Shown beside the connections by `CLIENT LIST`. Default `msgloop`. */
  readonly name?: string
  /** For `rediss`: `ca`, `cert`, `key`, … of Node's `tls.connect`. */
  readonly tls?: Omit<ConnectionOptions, 'timeout'>
}

export interface Node {
  readonly host: string
  readonly port: number
}

/** Where and how to connect, checked. Holds the password: never put it in a message. */
export interface Target {
  readonly cluster: boolean
  /** The server, or nodes of a cluster to ask first. */
  readonly nodes: readonly [Node, ...Node[]]
  readonly username: string
  readonly password: string
  readonly db: number
  readonly prefix: string
  readonly connectTimeoutMs: number
  readonly replyTimeoutMs: number
  readonly name: string
  readonly tls: Omit<ConnectionOptions, 'timeout'> | undefined
  /** For people: no user, no password. */
  readonly address: string
}

const KNOWN = ['url', 'prefix', 'connectTimeoutMs', 'replyTimeoutMs', 'name', 'tls']
const SCHEMES = ['redis', 'rediss', 'redis+cluster', 'rediss+cluster']
const URL_PARTS = /^([a-z+]+):\/\/(?:([^/?#]*)@)?([^/?#@]*)(?:\/([^?#]*))?(?:\?([^#]*))?$/i

/** @throws DriverError `INVALID`; neither its message nor its cause repeats the URL, which holds a password */
export function resolveTarget(options: RedisStreamsOptions): Target {
  for (const key of Object.keys(options))
    if (!KNOWN.includes(key)) throw invalid(`unknown option "${key}"; there are ${KNOWN.join(', ')}`)
  const [, rawScheme = '', user = '', hosts = '', path = '', query = ''] =
    URL_PARTS.exec(String(options.url)) ?? []
  const scheme = rawScheme.toLowerCase()
  if (scheme === '')
    throw invalid(
      'the URL cannot be parsed; give redis://user:password@host:6379/0, and write "/" in user and password as "%2F", "@" as "%40", "#" as "%23", "?" as "%3F"',
    )
  if (!SCHEMES.includes(scheme))
    throw invalid(`the URL begins with "${scheme}:"; it must be one of ${SCHEMES.join(', ')}`)
  const cluster = scheme.endsWith('+cluster')
  const [first, ...others] = hosts.split(',').map(node)
  if (!first || (others.length > 0 && !cluster))
    throw invalid('the URL names several hosts; begin it with redis+cluster:// if they are a cluster')
  const [username = '', ...rest] = user.split(':')
  if (username !== '' && rest.length === 0)
    throw invalid('the URL has a user and no password; give user:password@host, or :password@host')
  const db = path === '' ? 0 : Number(path)
  if (!Number.isInteger(db) || db < 0 || !/^\d*$/.test(path))
    throw invalid(`the path of the URL must be the number of a database, as in redis://host:6379/0`)
  if (cluster && db !== 0) throw invalid('a cluster has only the database 0; leave it out')
  const parameters = new URLSearchParams(query)
  for (const key of parameters.keys())
    if (key !== 'prefix') throw invalid(`unknown URL parameter "${key}"; there is "prefix"`)
  const nodes = [first, ...others] as const
  const shown = nodes.map(({ host, port }) => `${host.includes(':') ? `[${host}]` : host}:${port}`)
  return {
    cluster,
    nodes,
    username: decoded('user', username),
    password: decoded('password', rest.join(':')),
    db,
    prefix: prefix(options.prefix ?? parameters.get('prefix') ?? 'msgloop'),
    connectTimeoutMs: whole('connectTimeoutMs', options.connectTimeoutMs ?? 10_000),
    replyTimeoutMs: whole('replyTimeoutMs', options.replyTimeoutMs ?? 10_000),
    name: options.name ?? 'msgloop',
    tls: scheme.startsWith('rediss') ? (options.tls ?? {}) : undefined,
    address: `${scheme}://${shown.join(',')}${db === 0 ? '' : `/${db}`}`,
  }
}

function node(text: string): Node {
  const [, v6, name, port] = /^(?:\[([0-9a-f:.]+)\]|([^:[\]\s]*))(?::(\d{1,5}))?$/i.exec(text) ?? []
  if ((v6 === undefined && name === undefined) || Number(port ?? 1) > 65_535 || Number(port ?? 1) < 1)
    throw invalid('a host of the URL cannot be parsed; give host:port, or [address]:port for IPv6')
  return { host: v6 ?? (name || 'localhost'), port: Number(port ?? 6379) }
}

function decoded(part: string, text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw invalid(`the ${part} in the URL is not percent-encoded correctly; write "%" as "%25"`)
  }
}

/** Braces would move the hash tag. */
function prefix(text: string): string {
  if (/^[A-Za-z0-9._:-]{1,64}$/.test(text)) return text
  throw invalid(`the prefix is ${JSON.stringify(text)}; give 1 to 64 letters, digits, ".", "_", ":" or "-"`)
}

function whole(option: string, value: number): number {
  if (Number.isInteger(value) && value >= 1 && value <= 600_000) return value
  throw invalid(`"${option}" is ${value}; give a whole number from 1 to 600000`)
}

const invalid = (message: string): DriverError => new DriverError('INVALID', `redis-streams: ${message}`)
