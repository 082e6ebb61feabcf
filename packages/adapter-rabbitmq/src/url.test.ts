import { DriverError } from '@msgloop/core/driver'
import { describe, expect, test } from 'vitest'
import { rabbitmq } from './index.js'
import { type RabbitmqOptions, resolveTarget } from './url.js'

/** What is thrown, with everything a person or a log could see of it. */
function refusal(options: object): { error: DriverError; seen: string } {
  try {
    rabbitmq(options as RabbitmqOptions)
  } catch (error) {
    if (error instanceof DriverError)
      return { error, seen: `${error.message} ${error.stack} ${JSON.stringify(error.cause)}` }
    throw error
  }
  throw new Error('nothing was refused')
}

describe('a target', () => {
  test('has the defaults of AMQP', () => {
    expect(resolveTarget({ url: 'amqp://localhost' })).toMatchObject({
      protocol: 'amqp',
      hostname: 'localhost',
      port: 5672,
      username: 'guest',
      password: 'guest',
      vhost: '/',
      heartbeat: 10,
      connectTimeoutMs: 10_000,
      address: 'amqp://localhost:5672',
    })
    expect(resolveTarget({ url: 'amqps://h' }).port).toBe(5671)
  })

  test('takes apart every part of a URL, decoded', () => {
    const url = 'amqp://us%40er:p%C3%A4ss%3A%2F@broker.example:1234/a%2Fb?heartbeat=25'
    expect(resolveTarget({ url })).toMatchObject({
      hostname: 'broker.example',
      port: 1234,
      username: 'us@er',
      password: 'päss:/',
      vhost: 'a/b',
      heartbeat: 25,
    })
  })

  test('takes "/", "%2F" and nothing for the default vhost', () => {
    for (const path of ['', '/', '/%2F', '/%2f'])
      expect(resolveTarget({ url: `amqp://h${path}` })).toMatchObject({
        vhost: '/',
        address: 'amqp://h:5672',
      })
  })

  test('keeps the brackets of an IPv6 host in the address only', () => {
    expect(resolveTarget({ url: 'amqp://[::1]:99/v' })).toMatchObject({
      hostname: '::1',
      address: 'amqp://[::1]:99/v',
    })
  })

  test('prefers an option to the URL', () => {
    expect(resolveTarget({ url: 'amqp://h?heartbeat=25', heartbeat: 5 }).heartbeat).toBe(5)
  })

  test('shows neither user nor password in its address', () => {
    expect(rabbitmq({ url: 'amqp://alice:s3cret@h:1/v' }).address).toBe('amqp://h:1/v')
  })
})

describe('a bad URL or option is refused before any I/O, without its password', () => {
  test.each([
    [{ url: 'redis://u:s3cret@h' }, /begins with "redis:"/],
    [{ url: 'amqp://u:s3cret@h:port' }, /cannot be parsed/],
    [{ url: 'not a url s3cret' }, /cannot be parsed/],
    [{}, /cannot be parsed/],
    [{ url: 'amqp://u:s3cret@h?frame_max=1' }, /unknown URL parameter "frame_max"/],
    [{ url: 'amqp://u:s3cret%ZZ@h' }, /the password in the URL is not percent-encoded/],
    [{ url: 'amqp://u:s3cret@h?heartbeat=soon' }, /"heartbeat" is NaN/],
    [{ url: 'amqp://u:s3cret@h', heartbeat: 0 }, /"heartbeat" is 0; give a whole number from 1/],
    [{ url: 'amqp://u:s3cret@h', connectTimeoutMs: -1 }, /"connectTimeoutMs" is -1/],
    [{ url: 'amqp://u:s3cret@h', heartbeats: 5 }, /unknown option "heartbeats"/],
  ])('%j', (options, message) => {
    const { error, seen } = refusal(options)
    expect(error.code).toBe('INVALID')
    expect(error.message).toMatch(message)
    expect(seen).not.toContain('s3cret')
  })
})
