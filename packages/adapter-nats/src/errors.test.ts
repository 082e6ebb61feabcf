import { JetStreamApiError } from '@nats-io/jetstream'
import { errors } from '@nats-io/transport-node'
import { describe, expect, test } from 'vitest'
import { classify } from './errors.js'

const api = (err_code: number, code: number): JetStreamApiError =>
  new JetStreamApiError({ err_code, code, description: 'as the server says' })
const node = (code: string, syscall?: string): Error => Object.assign(new Error(code), { code, syscall })

describe('what the broker answers', () => {
  test.each([
    ['no stream', api(10_059, 404), 'NOT_FOUND', false],
    ['no consumer', api(10_014, 404), 'NOT_FOUND', false],
    ['another configuration', api(10_058, 400), 'DRIFT', false],
    ['subjects of another stream', api(10_065, 400), 'DRIFT', false],
    ['a second consumer on a work queue', api(10_100, 400), 'DRIFT', false],
    ['JetStream not for this account', api(10_039, 503), 'UNSUPPORTED', false],
    ['replicas without a cluster', api(10_074, 500), 'UNSUPPORTED', false],
    ['a message too large', api(10_054, 400), 'TOO_LARGE', false],
    ['headers too large', api(10_097, 400), 'TOO_LARGE', false],
    ['a full stream', api(10_077, 503), 'BUSY', true],
    ['no space', api(10_047, 500), 'BUSY', true],
    ['no leader', api(10_008, 503), 'BUSY', true],
    ['a bad request', api(10_003, 400), 'INVALID', false],
    ['something new', api(19_999, 418), 'UNKNOWN', false],
  ])('%s', (_, error, code, retryable) => {
    expect(classify(error)).toMatchObject({ code, retryable })
  })

  test('is certainly not stored, where it is an answer that says why', () => {
    expect(classify(api(10_077, 503)).outcome).toBe('rejected')
    expect(classify(api(19_999, 418)).outcome).toBeUndefined()
  })
})

describe('what the client library says', () => {
  test.each([
    ['wrong credentials', new errors.AuthorizationError('Authorization Violation'), 'DENIED', false],
    ['credentials that expired', new errors.UserAuthenticationExpiredError('x'), 'DENIED', false],
    ['no permission', new errors.PermissionViolationError('x', 'publish', 's'), 'DENIED', false],
    ['nobody there', new errors.ConnectionError('connection refused'), 'UNREACHABLE', true],
    ['no TLS there', new errors.ConnectionError("server does not support 'tls'"), 'UNREACHABLE', false],
    ['something else there', new Error('unexpected response from server'), 'UNREACHABLE', false],
    ['a closed connection', new errors.ClosedConnectionError(), 'CONNECTION_LOST', true],
    [
      'a connection that was lost',
      new errors.RequestError('connection disconnected'),
      'CONNECTION_LOST',
      true,
    ],
    ['a protocol error', new errors.ProtocolError('Unknown Protocol Operation'), 'CONNECTION_LOST', true],
    ['too many connections', new errors.ProtocolError('maximum connections exceeded'), 'BUSY', true],
    ['too much at once', new errors.ProtocolError('Maximum Payload Violation'), 'TOO_LARGE', false],
    [
      'a body too large',
      errors.InvalidArgumentError.format('payload', 'max_payload size exceeded'),
      'TOO_LARGE',
      false,
    ],
    [
      'a request nobody answers',
      new errors.RequestError('x', { cause: new errors.NoRespondersError('s') }),
      'NOT_FOUND',
      false,
    ],
    ['no answer in time', new errors.TimeoutError(), 'TIMEOUT', true],
    ['a bad subject', new errors.InvalidSubjectError('a b'), 'INVALID', false],
  ])('%s', (_, error, code, retryable) => {
    expect(classify(error)).toMatchObject({ code, retryable })
  })
})

describe('what Node.js says', () => {
  test.each([
    ['ECONNREFUSED', 'connect', 'UNREACHABLE', true],
    ['ENOTFOUND', 'getaddrinfo', 'UNREACHABLE', true],
    ['ETIMEDOUT', 'connect', 'UNREACHABLE', true],
    ['ETIMEDOUT', 'read', 'CONNECTION_LOST', true],
    ['ECONNRESET', 'read', 'CONNECTION_LOST', true],
    ['EPIPE', 'write', 'CONNECTION_LOST', true],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', undefined, 'UNREACHABLE', false],
    ['ERR_TLS_CERT_ALTNAME_INVALID', undefined, 'UNREACHABLE', false],
  ])('%s of %s', (code, syscall, expected, retryable) => {
    expect(classify(node(code, syscall))).toMatchObject({ code: expected, retryable })
  })

  test('that a signal aborted', () => {
    expect(classify(AbortSignal.abort().reason)).toMatchObject({ code: 'ABORTED', retryable: false })
  })
})

test('what it does not know is UNKNOWN, never retryable and never certain', () => {
  for (const error of [undefined, null, 'text', {}, new Error('x'), node('NO_SUCH'), node('toString')])
    expect(classify(error)).toEqual({ code: 'UNKNOWN', retryable: false })
})
