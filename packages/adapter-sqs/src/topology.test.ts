import type { QueueSpec } from '@msgloop/core/driver'
import { describe, expect, test } from 'vitest'
import { compare, driftError, fifoOfAttributes, queueAttributes } from './topology.js'

const work: QueueSpec = {
  kind: 'queue',
  name: 'orders',
  role: 'work',
  deadLetter: 'orders.dlq',
  deliveryLimit: 400,
  leaseMs: 30_000,
  dedupWindowMs: 0,
  order: 'none',
}
const dead: QueueSpec = { ...work, name: 'orders.dlq', role: 'dead-letter', retentionMs: 3 * 86_400_000 }
const ARN = 'arn:aws:sqs:eu-west-1:123456789012:orders--dlq'
const FOURTEEN_DAYS = '1209600'

describe('the attributes of a queue', () => {
  test('are the longest retention, and a redrive policy above the limit of the core', () => {
    expect(queueAttributes(work, { deadLetterArn: ARN })).toEqual({
      MessageRetentionPeriod: FOURTEEN_DAYS,
      RedrivePolicy: JSON.stringify({ deadLetterTargetArn: ARN, maxReceiveCount: 400 }),
    })
  })

  test('keep dead letters for the longest there is, as what SQS moves keeps its age', () => {
    expect(queueAttributes(dead)).toEqual({ MessageRetentionPeriod: FOURTEEN_DAYS })
  })

  test('keep other messages for as long as asked, within what SQS can', () => {
    expect(queueAttributes({ ...work, retentionMs: 90_500 }).MessageRetentionPeriod).toBe('91')
    expect(queueAttributes({ ...work, retentionMs: 1 }).MessageRetentionPeriod).toBe('60')
    expect(queueAttributes({ ...work, retentionMs: 1e12 }).MessageRetentionPeriod).toBe(FOURTEEN_DAYS)
  })

  test('are those of a FIFO queue where duplicates are to be dropped', () => {
    expect(queueAttributes({ ...work, dedupWindowMs: 60_000 })).toMatchObject({
      FifoQueue: 'true',
      DeduplicationScope: 'messageGroup',
      FifoThroughputLimit: 'perMessageGroupId',
      ContentBasedDeduplication: 'false',
    })
  })

  test('tell whoever moves a message into a FIFO queue whether it is ordered by key', () => {
    for (const dedupWindowMs of [0, 60_000])
      expect(fifoOfAttributes(queueAttributes({ ...work, order: 'key', dedupWindowMs })).keyed).toBe(true)
    expect(fifoOfAttributes(queueAttributes({ ...work, dedupWindowMs: 1 })).keyed).toBe(false)
  })

  test('have a window for the whole queue where one id may come with two keys', () => {
    expect(queueAttributes({ ...work, order: 'key', dedupWindowMs: 60_000 })).toMatchObject({
      DeduplicationScope: 'queue',
      FifoThroughputLimit: 'perQueue',
    })
  })
})

describe('comparing', () => {
  const wanted = queueAttributes(work, { deadLetterArn: ARN })

  test('finds nothing where all is as declared, in whichever form the broker writes it', () => {
    const RedrivePolicy = JSON.stringify({ maxReceiveCount: '400', deadLetterTargetArn: ARN })
    expect(compare(work, wanted, { ...wanted, RedrivePolicy, VisibilityTimeout: '5' })).toEqual([])
  })

  test('does not hold against a broker what it does not tell', () => {
    const { MessageRetentionPeriod: _, ...untold } = wanted
    expect(compare(work, wanted, untold)).toEqual([])
  })

  test('names every field that differs, with what is there', () => {
    expect(compare(work, wanted, { MessageRetentionPeriod: '345600' })).toEqual([
      {
        object: 'queue "orders"',
        field: 'MessageRetentionPeriod',
        expected: FOURTEEN_DAYS,
        actual: '345600',
      },
      { object: 'queue "orders"', field: 'RedrivePolicy.deadLetterTargetArn', expected: ARN, actual: 'none' },
      { object: 'queue "orders"', field: 'RedrivePolicy.maxReceiveCount', expected: '400', actual: 'none' },
    ])
    expect(driftError(work, compare(work, wanted, {})).message).toMatch(
      /maxReceiveCount is none, wanted 400.*verify/,
    )
  })
})
