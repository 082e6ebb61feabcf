import type { QueueSpec } from '@msgloop/core/driver'
import { describe, expect, test } from 'vitest'
import { adopt, asQueue, driftError, driftOf, inequivalence, queueSettings } from './topology.js'

const orders: QueueSpec = {
  kind: 'queue',
  name: 'orders',
  role: 'work',
  deadLetter: 'orders.dlq',
  deliveryLimit: 100,
  leaseMs: 30_000,
  dedupWindowMs: 0,
  order: 'none',
  lanes: false,
}

/** What RabbitMQ 3.10.8 and 4.0.5 say, in each of the forms seen. */
const refused = (rest: string): Error =>
  new Error(
    `Operation failed: QueueDeclare; 406 (PRECONDITION-FAILED) with message "PRECONDITION_FAILED - inequivalent arg ${rest}"`,
  )

describe('settings', () => {
  test('dead-letter at least once, which needs all four together', () => {
    expect(queueSettings(orders)).toMatchObject({
      'x-queue-type': 'quorum',
      'x-delivery-limit': 100,
      'x-dead-letter-exchange': '',
      'x-dead-letter-routing-key': 'orders.dlq',
      'x-dead-letter-strategy': 'at-least-once',
      'x-overflow': 'reject-publish',
    })
  })

  test('of a dead-letter queue never drop what was looked at, and keep it as long as asked', () => {
    const spec: QueueSpec = {
      kind: 'queue',
      name: 'orders.dlq',
      role: 'dead-letter',
      leaseMs: 1,
      dedupWindowMs: 0,
      order: 'none',
      lanes: false,
      retentionMs: 1_000,
    }
    expect(queueSettings(spec)).toEqual({
      durable: true,
      'x-queue-type': 'quorum',
      'x-delivery-limit': 2_000_000_000,
      'x-message-ttl': 1_000,
    })
  })

  test('are refused for what there is no capability for', () => {
    expect(() => asQueue({ kind: 'topic', name: 't' })).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED' }),
    )
    expect(() => asQueue({ ...orders, lanes: true })).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED' }),
    )
  })
})

describe('a refused declaration', () => {
  test.each([
    [
      `'x-delivery-limit' for queue 'q' in vhost '/': received '7' but current is '100'`,
      '100',
      { 'x-delivery-limit': 100 },
    ],
    [
      `'x-message-ttl' for queue 'q' in vhost '/': received none but current is the value '5000' of type 'short'`,
      '5000',
      { 'x-message-ttl': 5000 },
    ],
    [
      `'x-dead-letter-routing-key' for queue 'q' in vhost '/': received the value 'a' of type 'longstr' but current is the value '5' of type 'longstr'`,
      '5',
      { 'x-dead-letter-routing-key': '5' },
    ],
    [
      `'x-queue-type' for queue 'q' in vhost '/': received 'quorum' but current is 'classic'`,
      'classic',
      { 'x-queue-type': 'classic' },
    ],
    [
      `'durable' for queue 'q' in vhost '/': received 'true' but current is 'false'`,
      'false',
      { durable: false },
    ],
  ])('%s is read, and what is there can be adopted', (text, actual, changed) => {
    const found = inequivalence(refused(text))
    expect(found?.actual).toBe(actual)
    if (found) expect(adopt(queueSettings(orders), found)).toEqual({ ...queueSettings(orders), ...changed })
  })

  test('over a setting that is not there adopts it by leaving it out', () => {
    const found = inequivalence(
      refused(
        `'x-overflow' for queue 'q' in vhost '/': received the value 'reject-publish' of type 'longstr' but current is none`,
      ),
    )
    expect(found && adopt(queueSettings(orders), found)).not.toHaveProperty('x-overflow')
    expect(found && driftOf(orders, found)).toEqual({
      object: 'queue "orders"',
      field: 'x-overflow',
      expected: 'reject-publish',
      actual: 'none',
    })
  })

  test('whose text the broker cut still names the field, and adopts nothing it does not know', () => {
    for (const text of [
      `'x-overflow' for queue 'q' in vhost '/': rec...`,
      `'x-overflow' … but current is the value 'rej...`,
    ]) {
      const found = inequivalence(refused(text))
      expect(found).toEqual({ field: 'x-overflow', actual: 'something else' })
      expect(found && adopt(queueSettings(orders), found)).toBeUndefined()
    }
  })

  test('says what differs and what to do', () => {
    const error = driftError(orders, { field: 'x-delivery-limit', actual: '7' }, undefined)
    expect(error.code).toBe('DRIFT')
    expect(error.message).toMatch(
      /queue "orders".*x-delivery-limit is 7, wanted 100.*topology: 'verify' or 'none'/,
    )
  })

  test('over anything else is not taken for a difference', () => {
    expect(inequivalence(new Error('NOT_FOUND'))).toBeUndefined()
    expect(inequivalence('text')).toBeUndefined()
  })
})
