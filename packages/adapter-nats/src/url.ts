import { DriverError } from '@msgloop/core/driver'
import type { Authenticator, TlsOptions } from '@nats-io/transport-node'

export interface NatsOptions {
  /**
   * `nats://user:pass@host:4222,host2:4222`, `nats://token@host`, or `tls://…`. Percent-encode what is
   * special in a URL. `?prefix=` begins the names of streams and subjects (default `msgloop`),
   * `?replicas=` is how many copies of a new stream a cluster keeps (default 1).
   */
  readonly url: string
  /** Longest one attempt to connect to one host may take. Default 10 000. */
  readonly connectTimeoutMs?: number
  /** Shown beside the connection in the broker's own tools. Default `msgloop`. */
  readonly name?: string
  /** Begins the subjects that answers come to; for users who may not subscribe to `_INBOX.>`. */
  readonly inboxPrefix?: string
  /** Credentials that no URL can hold: `credsAuthenticator`, `jwtAuthenticator`, … of the NATS client. */
  readonly authenticator?: Authenticator
  /** For `tls`: files or texts of certificates, as the NATS client takes them. */
  readonly tls?: TlsOptions
}

/** Where and how to connect, checked. Holds the password: never put it in a message. */
export interface Target {
  readonly servers: readonly string[]
  readonly credentials: { readonly user?: string; readonly pass?: string; readonly token?: string }
  readonly prefix: string
  /** Absent: one copy, and however many an existing stream has. */
  readonly replicas: number | undefined
  readonly connectTimeoutMs: number
  readonly name: string
  readonly inboxPrefix: string
  readonly authenticator: Authenticator | undefined
  readonly tls: TlsOptions | undefined
  /** For people: no user, no password. */
  readonly address: string
}

const KNOWN = ['url', 'connectTimeoutMs', 'name', 'inboxPrefix', 'authenticator', 'tls']
/** No dash: the first one ends it in the name of a stream. */
const PREFIX = /^[A-Za-z0-9_]{1,32}$/
const INBOX = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/
const HOST = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(\d{1,5}))?$/

/** @throws DriverError `INVALID`; neither its message nor its cause repeats the URL, which holds a password */
export function resolveTarget(options: NatsOptions): Target {
  for (const key of Object.keys(options))
    if (!KNOWN.includes(key)) throw invalid(`unknown option "${key}"; there are ${KNOWN.join(', ')}`)
  const [, scheme, userInfo, hosts = '', query] =
    /^([a-z+]+):\/\/(?:([^/?#@]*)@)?([^/?#@]*)\/?(?:\?([^#]*))?$/i.exec(String(options.url)) ?? []
  if (scheme === undefined)
    throw invalid(
      'the URL cannot be parsed; give nats://user:password@host:4222, with "/" as "%2F" and "@" as "%40" in user and password',
    )
  const protocol = scheme.toLowerCase()
  if (protocol !== 'nats' && protocol !== 'tls')
    throw invalid(`the URL begins with "${protocol}:"; it must be nats:// or tls://`)
  const parameters = new URLSearchParams(query)
  for (const key of parameters.keys())
    if (key !== 'prefix' && key !== 'replicas')
      throw invalid(`unknown URL parameter "${key}"; there are "prefix" and "replicas"`)
  const prefix = parameters.get('prefix') ?? 'msgloop'
  if (!PREFIX.test(prefix)) throw invalid('"prefix" must be 1 to 32 letters, digits or "_"')
  const inboxPrefix = options.inboxPrefix ?? '_INBOX'
  if (!INBOX.test(inboxPrefix)) throw invalid('"inboxPrefix" must be a subject without wildcards')
  const replicas = parameters.get('replicas')
  const servers = hosts.split(',').map(server)
  return {
    servers,
    credentials: userInfo === undefined ? {} : credentials(userInfo),
    prefix,
    replicas: replicas === null ? undefined : whole('replicas', Number(replicas), 5),
    connectTimeoutMs: whole('connectTimeoutMs', options.connectTimeoutMs ?? 10_000, 600_000),
    name: options.name ?? 'msgloop',
    inboxPrefix,
    authenticator: options.authenticator,
    tls: protocol === 'tls' ? { ...options.tls } : options.tls,
    address: `${protocol}://${servers.join(',')}`,
  }
}

function server(text: string): string {
  const [, host, port = '4222'] = HOST.exec(text === '' ? 'localhost' : text) ?? []
  if (host === undefined || Number(port) > 65_535 || Number(port) === 0)
    throw invalid('a host in the URL is not a name or address with a port; give host:4222')
  return `${host}:${port}`
}

function credentials(userInfo: string): Target['credentials'] {
  const colon = userInfo.indexOf(':')
  if (colon < 0) return userInfo === '' ? {} : { token: decoded('token', userInfo) }
  return {
    user: decoded('user', userInfo.slice(0, colon)),
    pass: decoded('password', userInfo.slice(colon + 1)),
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
  throw invalid(`"${option}" must be a whole number from 1 to ${max}`)
}

const invalid = (message: string): DriverError => new DriverError('INVALID', `nats: ${message}`)
