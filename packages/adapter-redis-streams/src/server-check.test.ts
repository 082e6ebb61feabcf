import { describe, expect, test } from 'vitest'
import { refusal, risks } from './server-check.js'

const AT = 'redis://h:6379'
const info = (fields: Record<string, string>): string =>
  `# Server\r\n${Object.entries(fields)
    .map(([name, value]) => `${name}:${value}\r\n`)
    .join('')}`
const SAFE = {
  redis_version: '8.0.2',
  role: 'master',
  loading: '0',
  cluster_enabled: '0',
  aof_enabled: '1',
  maxmemory_policy: 'noeviction',
}
const server = (fields: Record<string, string> = {}, appendfsync?: string) => ({
  info: info({ ...SAFE, ...fields }),
  appendfsync,
})

describe('a server is refused', () => {
  test.each([
    ['that is too old', { redis_version: '6.0.16' }, false, 'UNSUPPORTED', false],
    ['that is much too old', { redis_version: '5.0.3' }, false, 'UNSUPPORTED', false],
    ['that is still loading', { loading: '1' }, false, 'BUSY', true],
    ['that is a replica', { role: 'slave' }, false, 'BUSY', true],
    ['of a cluster, by a URL for one', { cluster_enabled: '1' }, false, 'INVALID', false],
  ])('%s', (_what, fields, cluster, code, retryable) => {
    expect(refusal(AT, cluster, server(fields))).toMatchObject({ code, retryable, outcome: 'rejected' })
  })

  test('for nothing else', () => {
    for (const redis_version of ['6.2.0', '7.0.15', '8.0.2', '10.1.0', 'unheard of'])
      expect(refusal(AT, false, server({ redis_version }))).toBeUndefined()
    expect(refusal(AT, true, server({ cluster_enabled: '1', role: 'slave' }))).toBeUndefined()
    expect(refusal(AT, false, { info: undefined, appendfsync: undefined })).toBeUndefined()
  })
})

describe('what may lose messages', () => {
  const codes = (...args: Parameters<typeof server>): string[] =>
    risks(AT, server(...args)).map(({ code }) => code)

  test('is nothing on a server that syncs before it answers and deletes nothing', () => {
    expect(codes({}, 'always')).toEqual([])
    expect(codes({ maxmemory_policy: 'volatile-lru' }, 'always')).toEqual([])
    // It may not be asked.
    expect(codes({})).toEqual([])
  })

  test('is a policy that may delete queues', () => {
    for (const maxmemory_policy of ['allkeys-lru', 'allkeys-lfu', 'allkeys-random'])
      expect(codes({ maxmemory_policy }, 'always')).toEqual(['MSGLOOP_REDIS_EVICTION'])
  })

  test('is an append-only file that is off, or synced later than the reply', () => {
    expect(codes({ aof_enabled: '0' }, 'everysec')).toEqual(['MSGLOOP_REDIS_DURABILITY'])
    expect(codes({}, 'everysec')).toEqual(['MSGLOOP_REDIS_DURABILITY'])
    expect(codes({}, 'no')).toEqual(['MSGLOOP_REDIS_DURABILITY'])
  })

  test('is told with where, and what to do', () => {
    const all = risks(AT, server({ aof_enabled: '0', maxmemory_policy: 'allkeys-lru' }))
    expect(all).toHaveLength(2)
    for (const { message } of all) expect(message).toContain(AT)
    expect(all.map(({ message }) => message).join()).toMatch(/noeviction.*appendfsync to always/s)
  })
})
