import { DriverError } from '@msgloop/core/driver'
import { describe, expect, test } from 'vitest'
import { redisStreams } from './index.js'
import { type RedisStreamsOptions, resolveTarget } from './url.js'

/** What is thrown, with everything a person or a log could see of it. */
function refusal(options: object): { error: DriverError; seen: string } {
  try {
    redisStreams(options as RedisStreamsOptions)
  } catch (error) {
    if (error instanceof DriverError)
      return { error, seen: `${error.message} ${error.stack} ${JSON.stringify(error.cause)}` }
    throw error
  }
  throw new Error('nothing was refused')
}

describe('a target', () => {
  test('has the defaults of Redis', () => {
    expect(resolveTarget({ url: 'redis://' })).toMatchObject({
      cluster: false,
      nodes: [{ host: 'localhost', port: 6379 }],
      username: '',
      password: '',
      db: 0,
      prefix: 'msgloop',
      tls: undefined,
      address: 'redis://localhost:6379',
    })
  })

  test('takes apart every part of a URL, decoded', () => {
    const url = 'rediss://us%40er:p%C3%A4ss%3A%2F@broker.example:1234/7?prefix=shop'
    expect(resolveTarget({ url })).toMatchObject({
      nodes: [{ host: 'broker.example', port: 1234 }],
      username: 'us@er',
      password: 'päss:/',
      db: 7,
      prefix: 'shop',
      tls: {},
      address: 'rediss://broker.example:1234/7',
    })
  })

  test('takes a password alone, and colons in it', () => {
    expect(resolveTarget({ url: 'redis://:a:b@h' })).toMatchObject({ username: '', password: 'a:b' })
  })

  test('has all nodes of a cluster that are named', () => {
    const { cluster, nodes, address } = resolveTarget({
      url: 'redis+cluster://u:p@a:1,b,[::1]:3?prefix=x',
    })
    expect(cluster).toBe(true)
    expect(nodes).toEqual([
      { host: 'a', port: 1 },
      { host: 'b', port: 6379 },
      { host: '::1', port: 3 },
    ])
    expect(address).toBe('redis+cluster://a:1,b:6379,[::1]:3')
    expect(resolveTarget({ url: 'rediss+cluster://a' })).toMatchObject({ cluster: true, tls: {} })
  })

  test('prefers an option to what the URL says', () => {
    expect(resolveTarget({ url: 'redis://h?prefix=a', prefix: 'b' }).prefix).toBe('b')
  })
})

describe('what is wrong is refused as INVALID, and no secret is repeated', () => {
  const SECRET = 'hunter2'
  test.each([
    ['another scheme', `http://u:${SECRET}@h`],
    ['no scheme', `u:${SECRET}@h`],
    ['nothing', ''],
    ['an unencoded slash in the password', `redis://u:${SECRET}/x@h:1/0`],
    ['an unencoded # in the password', `redis://u:${SECRET}#x@h:1/0`],
    ['a broken percent encoding', `redis://u:${SECRET}%zz@h`],
    ['a database that is no number', `redis://u:${SECRET}@h/orders`],
    ['a negative database', `redis://u:${SECRET}@h/-1`],
    ['a database of a cluster', `redis+cluster://u:${SECRET}@h/1`],
    ['several hosts that are no cluster', `redis://u:${SECRET}@a:1,b:2`],
    ['a port that is none', `redis://u:${SECRET}@h:99999`],
    ['a port that is no number', `redis://u:${SECRET}@h:port`],
    ['a host with a space', `redis://u:${SECRET}@a b`],
    ['a user without a password', `redis://${SECRET}@h`],
    ['an unknown parameter', `redis://u:${SECRET}@h?heartbeat=1`],
    ['a prefix with braces', `redis://u:${SECRET}@h?prefix=%7Bx%7D`],
    ['an empty prefix', `redis://u:${SECRET}@h?prefix=`],
  ])('%s', (_what, url) => {
    const { error, seen } = refusal({ url })
    expect(error.code).toBe('INVALID')
    expect(seen).not.toContain(SECRET)
  })

  test.each([
    ['an unknown option', { url: 'redis://h', conection: 1 }],
    ['a time of nothing', { url: 'redis://h', connectTimeoutMs: 0 }],
    ['a time that is no number', { url: 'redis://h', replyTimeoutMs: '1s' }],
    ['no URL', {}],
  ])('%s', (_what, options) => {
    expect(refusal(options).error.code).toBe('INVALID')
  })
})
