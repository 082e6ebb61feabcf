import { DriverError } from '@msgloop/core/driver'
import { describe, expect, test } from 'vitest'
import { nats } from './index.js'
import { type NatsOptions, resolveTarget } from './url.js'

/** What is thrown, with everything a person or a log could see of it. */
function refusal(options: object): { error: DriverError; seen: string } {
  try {
    nats(options as NatsOptions)
  } catch (error) {
    if (error instanceof DriverError)
      return { error, seen: `${error.message} ${error.stack} ${JSON.stringify(error.cause)}` }
    throw error
  }
  throw new Error('nothing was refused')
}

describe('a target', () => {
  test('has the defaults of NATS', () => {
    expect(resolveTarget({ url: 'nats://localhost' })).toMatchObject({
      servers: ['localhost:4222'],
      credentials: {},
      prefix: 'msgloop',
      replicas: undefined,
      connectTimeoutMs: 10_000,
      name: 'msgloop',
      inboxPrefix: '_INBOX',
      tls: undefined,
      address: 'nats://localhost:4222',
    })
  })

  test('takes apart every part of a URL, decoded', () => {
    const url = 'NATS://us%40er:p%C3%A4ss%3A%2F@a.example:1234,b.example,[::1]:4/?prefix=team_a&replicas=3'
    expect(resolveTarget({ url })).toMatchObject({
      servers: ['a.example:1234', 'b.example:4222', '[::1]:4'],
      credentials: { user: 'us@er', pass: 'päss:/' },
      prefix: 'team_a',
      replicas: 3,
      address: 'nats://a.example:1234,b.example:4222,[::1]:4',
    })
  })

  test('takes a token, an empty password, and no user at all', () => {
    expect(resolveTarget({ url: 'nats://s3cr%3Aet@h' }).credentials).toEqual({ token: 's3cr:et' })
    expect(resolveTarget({ url: 'nats://u:@h' }).credentials).toEqual({ user: 'u', pass: '' })
    expect(resolveTarget({ url: 'nats://@h' }).credentials).toEqual({})
  })

  test('asks for TLS where the URL or the options do', () => {
    expect(resolveTarget({ url: 'tls://h' })).toMatchObject({ tls: {}, address: 'tls://h:4222' })
    expect(resolveTarget({ url: 'nats://h', tls: { caFile: 'ca.pem' } }).tls).toEqual({ caFile: 'ca.pem' })
  })
})

describe('refused as INVALID before any I/O', () => {
  test.each([
    ['another scheme', { url: 'amqp://h' }, /nats:\/\/ or tls:\/\//],
    ['no URL', { url: 'somewhere' }, /cannot be parsed/],
    ['no URL at all', {}, /cannot be parsed/],
    ['a path', { url: 'nats://h/vhost' }, /cannot be parsed/],
    ['an unencoded "/" in the password', { url: 'nats://u:se/cret@h' }, /cannot be parsed/],
    ['an unencoded "@" in the password', { url: 'nats://u:se@cret@h' }, /cannot be parsed/],
    ['a port that is none', { url: 'nats://h:0' }, /host/],
    ['a port too large', { url: 'nats://h:65536' }, /host/],
    ['a host with a blank', { url: 'nats://h h' }, /host/],
    ['a stray "%"', { url: 'nats://u:se%cret@h' }, /percent-encoded/],
    ['an unknown parameter', { url: 'nats://h?retries=3' }, /"retries"/],
    ['a prefix with a dot', { url: 'nats://h?prefix=a.b' }, /"prefix"/],
    ['a prefix with a dash', { url: 'nats://h?prefix=a-b' }, /"prefix"/],
    ['no replicas', { url: 'nats://h?replicas=0' }, /"replicas"/],
    ['too many replicas', { url: 'nats://h?replicas=7' }, /"replicas"/],
    ['replicas that are no number', { url: 'nats://h?replicas=many' }, /"replicas"/],
    ['an unknown option', { url: 'nats://h', user: 'u' }, /"user"/],
    ['an inbox prefix with a wildcard', { url: 'nats://h', inboxPrefix: 'a.>' }, /inboxPrefix/],
    ['no time to connect', { url: 'nats://h', connectTimeoutMs: 0 }, /connectTimeoutMs/],
  ])('%s', (_, options, message) => {
    const { error } = refusal(options)
    expect(error).toMatchObject({ code: 'INVALID', message: expect.stringMatching(message) })
  })

  test('and never with the password in it', () => {
    for (const url of [
      'http://u:s3cret@h',
      'nats://u:s3cret@h:nope',
      'nats://u:s3/cret@h',
      'nats://u:s3%cret@h',
      'nats://s3cret@h?x=1',
    ])
      expect(refusal({ url }).seen).not.toMatch(/s3|cret/)
  })
})

test('a driver opens nothing, and its address holds no password', async () => {
  const driver = nats({ url: 'nats://user:s3cret@127.0.0.1:1' })
  expect(driver.address).toBe('nats://127.0.0.1:1')
  expect(driver.native()).toBeUndefined()
  await driver.close()
})
