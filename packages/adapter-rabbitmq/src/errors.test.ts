import { DriverError } from '@msgloop/core/driver'
import { describe, expect, test } from 'vitest'
import { classify } from './errors.js'

const native = (message: string, fields: object = {}): Error => Object.assign(new Error(message), fields)

/** Texts and codes as amqplib 2.3.1 threw them, against RabbitMQ 3.10.8 and 4.0.5. */
const SEEN: readonly (readonly [Error, string, boolean])[] = [
  [
    native('connect ECONNREFUSED 127.0.0.1:1', { code: 'ECONNREFUSED', syscall: 'connect' }),
    'UNREACHABLE',
    true,
  ],
  [native('getaddrinfo ENOTFOUND h', { code: 'ENOTFOUND', syscall: 'getaddrinfo' }), 'UNREACHABLE', true],
  [native('Socket closed abruptly during opening handshake'), 'UNREACHABLE', true],
  [native('Frame size 1345270062 exceeds maxFrameSize 67108864'), 'UNREACHABLE', false],
  [native('self-signed certificate', { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' }), 'UNREACHABLE', false],
  [native('read ETIMEDOUT', { code: 'ETIMEDOUT', syscall: 'read' }), 'CONNECTION_LOST', true],
  [native('read ECONNRESET', { code: 'ECONNRESET', syscall: 'read' }), 'CONNECTION_LOST', true],
  [native('Heartbeat timeout'), 'CONNECTION_LOST', true],
  [native('Unexpected close'), 'CONNECTION_LOST', true],
  [native('Channel closed', { name: 'IllegalOperationError' }), 'CONNECTION_LOST', true],
  [native('Connection closed (by client)', { name: 'IllegalOperationError' }), 'CONNECTION_LOST', true],
  [native('Channel ended, no reply will be forthcoming'), 'CONNECTION_LOST', true],
  [
    native('Connection closed: 320 (CONNECTION-FORCED) with message "x"', { code: 320 }),
    'CONNECTION_LOST',
    true,
  ],
  [
    native(
      'Channel closed by server: 406 (PRECONDITION-FAILED) with message "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value used: 1800000 ms"',
      { code: 406 },
    ),
    'CONNECTION_LOST',
    true,
  ],
  [
    native(
      'Handshake terminated by server: 403 (ACCESS-REFUSED) with message "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN"',
    ),
    'DENIED',
    false,
  ],
  [
    native(
      `Operation failed: ExchangeDeclare; 403 (ACCESS-REFUSED) with message "ACCESS_REFUSED - configure access to exchange 'x' in vhost '/' refused for user 'bob'"`,
      { code: 403 },
    ),
    'DENIED',
    false,
  ],
  [
    native(
      `Operation failed: BasicConsume; 404 (NOT-FOUND) with message "NOT_FOUND - no queue 'q' in vhost '/'"`,
      {
        code: 404,
      },
    ),
    'NOT_FOUND',
    false,
  ],
  [
    native(
      `Channel closed by server: 404 (NOT-FOUND) with message "NOT_FOUND - no exchange 'x' in vhost '/'"`,
      {
        code: 404,
      },
    ),
    'NOT_FOUND',
    false,
  ],
  [
    native(
      `Operation failed: QueueDeclare; 406 (PRECONDITION-FAILED) with message "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue 'q' in vhost '/': received '7' but current is '100'"`,
      { code: 406 },
    ),
    'DRIFT',
    false,
  ],
  [
    native(
      'Channel closed by server: 406 (PRECONDITION-FAILED) with message "PRECONDITION_FAILED - message size 16777217 is larger than configured max size 16777216"',
      { code: 406 },
    ),
    'TOO_LARGE',
    false,
  ],
  [
    new RangeError('Encoded field table (headers or arguments) exceeds the 65536 byte encoding buffer'),
    'TOO_LARGE',
    false,
  ],
  [new TypeError("Field 'type' is the wrong type; must be a string (up to 255 chars)"), 'INVALID', false],
  [native('The value of "value" is out of range.', { code: 'ERR_OUT_OF_RANGE' }), 'INVALID', false],
  [native('… 405 (RESOURCE-LOCKED) …', { code: 405 }), 'BUSY', true],
  [native('No channels left to allocate'), 'BUSY', true],
  [native('The operation was aborted', { name: 'AbortError' }), 'ABORTED', false],
]

describe('classify', () => {
  test.each(SEEN)('%s is %s', (error, code, retryable) => {
    expect(classify(error)).toMatchObject({ code, retryable })
  })

  test('leaves what the driver sorted itself as it is', () => {
    const error = new DriverError('BUSY', 'x', { retryable: true, outcome: 'rejected' })
    expect(classify(error)).toMatchObject({ code: 'BUSY', retryable: true, outcome: 'rejected' })
  })

  test('is sure a message was not stored only where nothing can have been sent', () => {
    expect(classify(SEEN[0]?.[0]).outcome).toBe('rejected')
    expect(
      classify(native('read ECONNRESET', { code: 'ECONNRESET', syscall: 'read' })).outcome,
    ).toBeUndefined()
  })

  test.each([undefined, null, 7, 'text', {}, Symbol('s'), native('?'), native('?', { code: 'toString' })])(
    'takes %s for UNKNOWN',
    (error) => {
      expect(classify(error)).toEqual({ code: 'UNKNOWN', retryable: false })
    },
  )
})
