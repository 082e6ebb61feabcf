import { DriverError } from '@msgloop/core/driver'
import { describe, expect, test } from 'vitest'
import { sqs } from './index.js'
import { resolveTarget, type SqsOptions } from './url.js'

/** What is thrown, with everything a person or a log could see of it. */
function refusal(options: object): { error: DriverError; seen: string } {
  try {
    sqs(options as SqsOptions)
  } catch (error) {
    if (error instanceof DriverError)
      return { error, seen: `${error.message} ${error.stack} ${JSON.stringify(error.cause)}` }
    throw error
  }
  throw new Error('nothing was refused')
}

describe('a target', () => {
  test('of AWS is a region, with or without a prefix', () => {
    expect(resolveTarget({ url: 'sqs://eu-central-1' })).toEqual({
      region: 'eu-central-1',
      endpoint: undefined,
      snsEndpoint: undefined,
      topics: true,
      credentials: undefined,
      prefix: '',
      waitSeconds: 2,
      replyQueueSeconds: 3_600,
      connectTimeoutMs: 5_000,
      address: 'sqs://eu-central-1',
    })
    expect(resolveTarget({ url: 'sqs://us-gov-west-1/prod-?wait=20' })).toMatchObject({
      region: 'us-gov-west-1',
      prefix: 'prod-',
      waitSeconds: 20,
      address: 'sqs://us-gov-west-1/prod-',
    })
  })

  test('of an emulator is an endpoint, with credentials that are decoded', () => {
    expect(
      resolveTarget({ url: 'sqs+http://k%40y:s%2Fcr%3Ft@localhost:9324/test_?region=eu-west-3' }),
    ).toMatchObject({
      region: 'eu-west-3',
      endpoint: 'http://localhost:9324',
      credentials: { accessKeyId: 'k@y', secretAccessKey: 's/cr?t' },
      prefix: 'test_',
    })
    expect(resolveTarget({ url: 'sqs+https://[::1]:44' })).toMatchObject({
      region: 'us-east-1',
      endpoint: 'https://[::1]:44',
      credentials: undefined,
    })
  })

  test('of an emulator has topics where it is told where SNS is', () => {
    expect(resolveTarget({ url: 'sqs+http://h:1' })).toMatchObject({ topics: false })
    expect(resolveTarget({ url: 'sqs+http://h:1?sns=http://h:2/' })).toMatchObject({
      topics: true,
      snsEndpoint: 'http://h:2',
    })
  })

  test('takes an option before the URL', () => {
    expect(resolveTarget({ url: 'sqs://eu-west-1?wait=20', waitSeconds: 5 }).waitSeconds).toBe(5)
  })

  test('shows neither key nor secret in its address', () => {
    expect(sqs({ url: 'sqs+http://akid:s3cret@h:1/p' }).address).toBe('sqs+http://h:1/p')
  })
})

describe('a bad URL or option is refused before any I/O, without its secret', () => {
  test.each([
    [{ url: 'https://k:s3cret@h' }, /begins with "https:"/],
    [{ url: 'not a url s3cret' }, /cannot be parsed/],
    [{}, /cannot be parsed/],
    [{ url: 'sqs:///p' }, /names no region/],
    [{ url: 'sqs://localhost' }, /"localhost" is no region/],
    [{ url: 'sqs://eu-central-1/a.b' }, /no prefix of queue names/],
    [{ url: 'sqs://eu-central-1/prod/' }, /no prefix of queue names/],
    [{ url: 'sqs://k:s3cret@eu-central-1' }, /do not belong in an sqs:/],
    [{ url: 'sqs+http://k@h' }, /a key or a secret alone/],
    [{ url: 'sqs+http://k:s3cret%ZZ@h' }, /the secret in the URL is not percent-encoded/],
    [{ url: 'sqs+http://k:s3/cret@h' }, /cannot be parsed|no prefix/],
    [{ url: 'sqs://eu-central-1?region=x' }, /unknown URL parameter "region"/],
    [{ url: 'sqs+http://h?sns=localhost:1' }, /"sns" is no URL of SNS/],
    [{ url: 'sqs+http://h?sns=http://k:s3cret@h:1' }, /"sns" is no URL of SNS/],
    [{ url: 'sqs://eu-central-1?sns=http://h:1' }, /unknown URL parameter "sns"/],
    [{ url: 'sqs+http://h?region=moon' }, /"moon" is no region/],
    [{ url: 'sqs://eu-central-1?wait=0' }, /"waitSeconds" is 0; give a whole number from 1 to 20/],
    [{ url: 'sqs://eu-central-1', replyQueueSeconds: 4 }, /from 5 to 43000/],
    [{ url: 'sqs://eu-central-1', waitSeconds: 21 }, /"waitSeconds" is 21/],
    [{ url: 'sqs://eu-central-1', waitMs: 5 }, /unknown option "waitMs"/],
  ])('%j', (options, message) => {
    const { error, seen } = refusal(options)
    expect(error.code).toBe('INVALID')
    expect(error.message).toMatch(message)
    expect(seen).not.toContain('s3cret')
  })
})
