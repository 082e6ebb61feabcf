import { describe, expect, test } from 'vitest'
import { adopt, driftError, driftOf, inequivalence, queueObject, type Settings } from './objects.js'

const settings: Settings = {
  durable: true,
  'x-queue-type': 'quorum',
  'x-delivery-limit': 100,
  'x-dead-letter-routing-key': 'orders.dlq',
  'x-overflow': 'reject-publish',
}
const orders = queueObject('orders', settings)

/** What RabbitMQ 3.10.8 and 4.0.5 say, in each of the forms seen. */
const refused = (rest: string): Error =>
  new Error(
    `Operation failed: QueueDeclare; 406 (PRECONDITION-FAILED) with message "PRECONDITION_FAILED - inequivalent arg ${rest}"`,
  )

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
    if (found) expect(adopt(settings, found)).toEqual({ ...settings, ...changed })
  })

  test('over a setting that is not there adopts it by leaving it out', () => {
    const found = inequivalence(
      refused(
        `'x-overflow' for queue 'q' in vhost '/': received the value 'reject-publish' of type 'longstr' but current is none`,
      ),
    )
    expect(found && adopt(settings, found)).not.toHaveProperty('x-overflow')
    expect(found && driftOf(orders, found)).toEqual({
      object: 'queue "orders"',
      field: 'x-overflow',
      expected: 'reject-publish',
      actual: 'none',
    })
  })

  test('whose text the broker cut still names the field, which is then left out to make the text shorter', () => {
    for (const [text, actual] of [
      [`'x-overflow' for queue 'q' in vhost '/': rec...`, 'something else'],
      [`'x-overflow' … but current is the value 'rej...`, 'rej…'],
    ] as const) {
      const found = inequivalence(refused(text))
      expect(found).toEqual({ field: 'x-overflow', actual, cut: true })
      const { 'x-overflow': _, ...shorter } = settings
      expect(found && adopt(settings, found)).toEqual(shorter)
      expect(found && adopt(shorter, found)).toBeUndefined()
    }
  })

  test('says what differs and what to do', () => {
    const error = driftError(driftOf(orders, { field: 'x-delivery-limit', actual: '7' }), undefined)
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
