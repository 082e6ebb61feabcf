import { DriverError } from '@msgloop/core/driver'

/** What is asked of a server once per connection. */
export interface ServerInfo {
  /** Reply of INFO; absent where it is not permitted. */
  readonly info: string | undefined
  /** `appendfsync`; absent where CONFIG is not permitted, as with most that are managed. */
  readonly appendfsync: string | undefined
}

const OLDEST = [6, 2] as const

/** Why this server cannot be used, or not now. */
export function refusal(address: string, isCluster: boolean, { info }: ServerInfo): DriverError | undefined {
  if (info === undefined) return undefined
  const version = fieldOf(info, 'redis_version') ?? ''
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (version !== '' && (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])))
    return new DriverError(
      'UNSUPPORTED',
      `redis-streams: ${address} is Redis ${version}; ${OLDEST.join('.')} or newer is needed`,
      { outcome: 'rejected' },
    )
  if (fieldOf(info, 'loading') === '1')
    return new DriverError('BUSY', `redis-streams: ${address} is still loading its data`, {
      retryable: true,
      outcome: 'rejected',
    })
  // Of a cluster any node will do: it tells where the right one is.
  if (!isCluster && fieldOf(info, 'role') === 'slave')
    return new DriverError('BUSY', `redis-streams: ${address} is a replica, which takes no messages`, {
      retryable: true,
      outcome: 'rejected',
    })
  if (!isCluster && fieldOf(info, 'cluster_enabled') === '1')
    return new DriverError(
      'INVALID',
      `redis-streams: ${address} is a node of a cluster; begin the URL with redis+cluster:// or rediss+cluster://`,
      { outcome: 'rejected' },
    )
  return undefined
}

/** What in the settings of a server may lose messages, by a code. */
export function risks(
  address: string,
  { info, appendfsync }: ServerInfo,
): readonly { readonly code: string; readonly message: string }[] {
  const found: { code: string; message: string }[] = []
  if (info === undefined) return found
  const policy = fieldOf(info, 'maxmemory_policy')
  // The `volatile` ones take only keys that expire, which none of a queue does.
  if (policy?.startsWith('allkeys'))
    found.push({
      code: 'MSGLOOP_REDIS_EVICTION',
      message: `redis-streams: ${address} has maxmemory-policy ${policy}: when its memory is full it may delete whole queues; set it to noeviction`,
    })
  if (fieldOf(info, 'aof_enabled') === '0')
    found.push({
      code: 'MSGLOOP_REDIS_DURABILITY',
      message: `redis-streams: ${address} has no append-only file: what was sent since its last snapshot is lost when it stops; set appendonly to yes and appendfsync to always`,
    })
  else if (appendfsync !== undefined && appendfsync !== 'always')
    found.push({
      code: 'MSGLOOP_REDIS_DURABILITY',
      message: `redis-streams: ${address} has appendfsync ${appendfsync}: ${appendfsync === 'everysec' ? 'the last second or two' : 'some half a minute'} of what was sent can be lost when its machine fails; set it to always`,
    })
  return found
}

const warned = new Set<string>()

/** Tells of each risk once per process and server. */
export function warnOnce(address: string, server: ServerInfo): void {
  for (const { code, message } of risks(address, server)) {
    if (warned.has(message)) continue
    warned.add(message)
    process.emitWarning(message, { code })
  }
}

function fieldOf(info: string, name: string): string | undefined {
  return new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1]
}
