import { OverLimit, QueueDoesNotExist, SQSServiceException } from '@aws-sdk/client-sqs'
import { DriverError } from '@msgloop/core/driver'
import { describe, expect, test } from 'vitest'
import { classify, entryError, noCredentials } from './errors.js'

const service = (name: string, message = 'why', $metadata: object = { httpStatusCode: 400 }): Error =>
  new SQSServiceException({ name, message, $fault: 'client', $metadata })

const native = (properties: object, message = 'text'): Error => Object.assign(new Error(message), properties)

describe('what SQS answers', () => {
  test.each([
    ['InvalidClientTokenId', 'DENIED', false, 'rejected'],
    ['SignatureDoesNotMatch', 'DENIED', false, 'rejected'],
    ['UnrecognizedClientException', 'DENIED', false, 'rejected'],
    ['AccessDenied', 'DENIED', false, 'rejected'],
    ['AccessDeniedException', 'DENIED', false, 'rejected'],
    ['ExpiredToken', 'DENIED', false, 'rejected'],
    ['AWS.SimpleQueueService.NonExistentQueue', 'NOT_FOUND', false, 'rejected'],
    ['com.amazonaws.sqs#QueueDoesNotExist', 'NOT_FOUND', false, 'rejected'],
    ['QueueNameExists', 'DRIFT', false, 'rejected'],
    ['QueueDeletedRecently', 'BUSY', true, 'rejected'],
    ['RequestThrottled', 'BUSY', true, 'rejected'],
    ['ThrottlingException', 'BUSY', true, 'rejected'],
    ['InvalidMessageContents', 'INVALID', false, 'rejected'],
    ['BatchRequestTooLong', 'TOO_LARGE', false, 'rejected'],
    ['ReceiptHandleIsInvalid', 'LEASE_LOST', false, undefined],
    ['MessageNotInflight', 'LEASE_LOST', false, undefined],
  ])('%s is %s', (name, code, retryable, outcome) => {
    expect({ outcome: undefined, ...classify(service(name)) }).toEqual({ code, retryable, outcome })
  })

  test('its own exceptions are known by their names', () => {
    const details = { message: 'm', $metadata: {} }
    expect(classify(new QueueDoesNotExist(details)).code).toBe('NOT_FOUND')
    expect(classify(new OverLimit(details))).toEqual({ code: 'BUSY', retryable: true, outcome: 'rejected' })
  })

  test.each([
    ['One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.', 'TOO_LARGE'],
    ['MessageTooLong', 'TOO_LARGE'],
    ['Value x for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.', 'LEASE_LOST'],
    ['Value 13 for parameter MaxNumberOfMessages is invalid.', 'INVALID'],
  ])('one code means several things: %s', (message, code) => {
    expect(classify(service('InvalidParameterValue', message)).code).toBe(code)
  })

  test('a failing server leaves the fate of a message unknown', () => {
    expect(classify(service('InternalError', 'oops', { httpStatusCode: 500 }))).toEqual({
      code: 'BUSY',
      retryable: true,
    })
    expect(classify(service('ServiceUnavailable', 'oops', { httpStatusCode: 503 }))).toEqual({
      code: 'BUSY',
      retryable: true,
    })
  })

  test('a signature refused for a clock that the SDK has just set right may be tried again', () => {
    const skewed = service('SignatureDoesNotMatch', 'Signature expired', { clockSkewCorrected: true })
    expect(classify(skewed)).toEqual({ code: 'DENIED', retryable: true, outcome: 'rejected' })
  })
})

describe('what happens on the way', () => {
  test.each([
    [{ code: 'ECONNREFUSED', syscall: 'connect' }, 'UNREACHABLE', 'rejected'],
    [{ code: 'ETIMEDOUT', syscall: 'connect', name: 'TimeoutError' }, 'UNREACHABLE', 'rejected'],
    [{ code: 'ENOTFOUND', syscall: 'getaddrinfo' }, 'UNREACHABLE', 'rejected'],
    [{ code: 'ECONNRESET', syscall: 'read', name: 'TimeoutError' }, 'CONNECTION_LOST', undefined],
    [{ code: 'EPIPE', syscall: 'write' }, 'CONNECTION_LOST', undefined],
    [{ code: 'ETIMEDOUT', name: 'TimeoutError' }, 'TIMEOUT', undefined],
  ])('%j is %s', (properties, code, outcome) => {
    expect({ outcome: undefined, ...classify(native(properties)) }).toEqual({
      code,
      retryable: true,
      outcome,
    })
  })

  test('a connection that was never made has sent nothing', () => {
    const error = native(
      { name: 'TimeoutError' },
      '@smithy/node-http-handler - the request socket did not establish a connection with the server within the configured timeout of 5000 ms.',
    )
    expect(classify(error)).toEqual({ code: 'UNREACHABLE', retryable: true, outcome: 'rejected' })
  })

  test('a certificate that is not trusted will not be trusted later', () => {
    expect(classify(native({ code: 'SELF_SIGNED_CERT_IN_CHAIN' }))).toEqual({
      code: 'UNREACHABLE',
      retryable: false,
      outcome: 'rejected',
    })
  })

  test('missing credentials are said to be missing, with advice', () => {
    const error = noCredentials('sqs://eu-west-1', native({ name: 'CredentialsProviderError' }))
    expect(classify(error)).toMatchObject({ code: 'DENIED', retryable: false, outcome: 'rejected' })
    expect(error.message).toMatch(/set AWS_ACCESS_KEY_ID/)
  })
})

describe('an entry of a batch that failed', () => {
  test.each([
    [{ Code: 'InvalidParameterValue', SenderFault: true }, 'INVALID', 'rejected'],
    [{ Code: 'SomethingNew', SenderFault: true }, 'INVALID', 'rejected'],
    [{ Code: 'ReceiptHandleIsInvalid', SenderFault: true }, 'LEASE_LOST', undefined],
    [{ Code: 'RequestThrottled', SenderFault: true }, 'BUSY', 'rejected'],
    [{ Code: 'InternalError', SenderFault: false }, 'BUSY', undefined],
  ])('%j is %s', (entry, code, outcome) => {
    const error = entryError({ Id: '0', Message: 'why', ...entry })
    expect(error).toBeInstanceOf(DriverError)
    expect([error.code, error.outcome]).toEqual([code, outcome])
    expect(error.message).toContain('why')
  })
})
