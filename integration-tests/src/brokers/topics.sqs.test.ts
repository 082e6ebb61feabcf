import { randomUUID } from 'node:crypto'
import {
  DeleteTopicCommand,
  ListTopicsCommand,
  PublishCommand,
  SetSubscriptionAttributesCommand,
  SNSClient,
} from '@aws-sdk/client-sns'
import { ReceiveMessageCommand } from '@aws-sdk/client-sqs'
import type { Topic } from '@msgloop/core'
import { immediate } from '@msgloop/core'
import type { SubscriptionSpec } from '@msgloop/core/driver'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startMoto } from '../moto-server.js'
import { FACT, failure, never, outgoing, sqsLab } from '../sqs-lab.js'
import { rawConfig } from '../sqs-server.js'

const lab = sqsLab(startMoto)
let sns: SNSClient
beforeAll(() => {
  sns = new SNSClient(rawConfig(lab.server))
})
afterAll(() => sns?.destroy())

const newTopic = (broker = lab.connected().broker): Topic<unknown> => broker.topic(`t-${randomUUID()}`)

async function arnOf(topic: string): Promise<string> {
  const { Topics = [] } = await sns.send(new ListTopicsCommand({}))
  return Topics.find(({ TopicArn }) => TopicArn?.endsWith(`:${topic}.fifo`))?.TopicArn ?? ''
}

const specOf = (
  topic: string,
  patterns: readonly string[],
  rest: Partial<SubscriptionSpec> = {},
): SubscriptionSpec => ({
  kind: 'subscription',
  topic,
  name: `${topic}.s`,
  patterns,
  role: 'work',
  deadLetter: `${topic}.s.dlq`,
  deliveryLimit: 400,
  leaseMs: 30_000,
  dedupWindowMs: 0,
  order: 'none',
  ...rest,
})

describe('on the wire', () => {
  test('a message of a topic is what a queue would get, with its subject as an attribute', async () => {
    const topic = newTopic()
    await topic.subscription('s').create()
    await topic.publish('a.b', { n: 1 }, { id: 'm', headers: { tenant: 'x' }, type: 'made' })
    const { Messages = [] } = await lab.raw.send(
      new ReceiveMessageCommand({
        QueueUrl: await lab.urlOf(`${topic.name}--s`),
        MessageAttributeNames: ['All'],
        WaitTimeSeconds: 5,
      }),
    )
    expect(Messages[0]).toMatchObject({
      Body: '{"n":1}',
      MessageAttributes: {
        'message-id': { StringValue: 'm' },
        subject: { StringValue: 'a.b' },
        type: { StringValue: 'made' },
        msgloop: { StringValue: expect.stringContaining('"tenant":"x"') },
      },
    })
  })

  test('what a foreign client publishes arrives, with its subject or without any', async () => {
    const topic = newTopic()
    const [all, some] = [topic.subscription('all'), topic.subscription('some', { patterns: ['a.*'] })]
    await all.create()
    await some.create()
    const TopicArn = await arnOf(topic.name)
    for (const subject of ['a.b', 'c', undefined])
      await sns.send(
        new PublishCommand({
          TopicArn,
          Message: `"${subject}"`,
          MessageGroupId: 'g',
          MessageDeduplicationId: randomUUID(),
          MessageAttributes: {
            tenant: { DataType: 'String', StringValue: 'x' },
            ...(subject && { subject: { DataType: 'String', StringValue: subject } }),
          },
        }),
      )
    const seen: unknown[] = []
    const consumer = all.consume(
      (body, message) => void seen.push([body, message.subject, message.headers.tenant]),
    )
    await expect.poll(() => seen.length, FACT).toBe(3)
    await consumer.close()
    expect(seen).toEqual([
      ['a.b', 'a.b', 'x'],
      ['c', 'c', 'x'],
      ['undefined', undefined, 'x'],
    ])
    const [one, ...rest] = await some.receive({ max: 10, wait: '2s' })
    expect([one?.body, rest]).toEqual(['a.b', []])
    await one?.ack()
  })
})

describe('what SNS lets through and the patterns do not', () => {
  test('is deleted without anybody having seen it', async () => {
    const topic = newTopic()
    const subscription = topic.subscription('s', { patterns: ['a.*.c'] })
    const seen: unknown[] = []
    const consumer = subscription.consume((body) => void seen.push(body))
    await consumer.ready
    const subjects = ['a.b.d', 'a.b.c.d', 'a.b.c', 'a.b']
    await topic.publishBatch(subjects.map((subject) => ({ subject, body: subject })))
    await expect.poll(() => seen, FACT).toEqual(['a.b.c'])
    await expect
      .poll(async () => {
        const { ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible } = await lab.attributesOf(
          `${topic.name}--s`,
        )
        return [ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible]
      }, FACT)
      .toEqual(['0', '0'])
    await consumer.close()
    expect((await subscription.stats()).dead).toBe(0)
  })

  test('is kept where it was not the topic that put it there: a dead letter replayed from another subscription', async () => {
    const topic = newTopic()
    const [from, to] = [
      topic.subscription('from', { retry: immediate({ attempts: 1 }) }),
      topic.subscription('to', { patterns: ['b'] }),
    ]
    await from.create()
    await to.create()
    await topic.publish('a', 'moved')
    const [delivery] = await from.receive({ wait: '5s' })
    await delivery?.reject(new Error('no'))
    await from.deadLetters.replay({}, { to: to.name })
    const [moved] = await to.receive({ wait: '5s' })
    expect([moved?.body, moved?.subject]).toEqual(['moved', 'a'])
    await moved?.ack()
  })
})

describe('a subscription', () => {
  test('with other patterns is DRIFT, field by field, and stays as it was', async () => {
    const driver = lab.driver()
    const topic = `t-${randomUUID()}`
    await driver.admin.declare({ kind: 'topic', name: topic }, never)
    await driver.admin.declare(specOf(topic, ['a.*', 'b']), never)
    await driver.admin.declare(specOf(topic, ['a.*', 'b']), never)
    await expect(driver.admin.declare(specOf(topic, ['#']), never)).rejects.toMatchObject({ code: 'DRIFT' })
    expect(await driver.admin.verify(specOf(topic, ['a.*']), never)).toEqual([
      {
        object: `binding of queue "${topic}.s" to topic "${topic}"`,
        field: 'patterns',
        expected: 'a.*',
        actual: 'a.*, b',
      },
    ])
    expect(await driver.admin.verify(specOf(topic, ['a.*', 'b']), never)).toEqual([])
  })

  test('that lost raw delivery, or its filter, by another hand is told', async () => {
    const driver = lab.driver()
    const topic = `t-${randomUUID()}`
    await driver.admin.declare({ kind: 'topic', name: topic }, never)
    await driver.admin.declare(specOf(topic, ['b']), never)
    const { Subscriptions = [] } = await sns.send(
      new (await import('@aws-sdk/client-sns')).ListSubscriptionsByTopicCommand({
        TopicArn: await arnOf(topic),
      }),
    )
    const SubscriptionArn = Subscriptions[0]?.SubscriptionArn ?? ''
    const set = (AttributeName: string, AttributeValue: string) =>
      sns.send(new SetSubscriptionAttributesCommand({ SubscriptionArn, AttributeName, AttributeValue }))
    await set('RawMessageDelivery', 'false')
    await set('FilterPolicy', '{"subject":["mine"]}')
    const drifts = await driver.admin.verify(specOf(topic, ['b']), never)
    expect(drifts.map(({ field, actual }) => [field, actual])).toEqual([
      ['patterns', 'none of ours'],
      ['RawMessageDelivery', 'false'],
    ])
  })

  test('without its topic is NOT_FOUND, and its queue without its topic tells that its binding is missing', async () => {
    const driver = lab.driver()
    const topic = `t-${randomUUID()}`
    const spec = specOf(topic, ['#'])
    expect(driver.classify(await driver.admin.declare(spec, never).catch((error) => error)).code).toBe(
      'NOT_FOUND',
    )
    await driver.admin.declare({ kind: 'topic', name: topic }, never)
    await driver.admin.declare(spec, never)
    await sns.send(new DeleteTopicCommand({ TopicArn: await arnOf(topic) }))
    const drifts = await driver.admin.verify(spec, never)
    expect(drifts).toContainEqual(
      expect.objectContaining({ object: expect.stringMatching(/^binding/), actual: 'missing' }),
    )
  })

  test('is bound again when its topic was deleted and made again', async () => {
    const driver = lab.driver()
    const topic = `t-${randomUUID()}`
    const [spec, topicSpec] = [specOf(topic, ['#']), { kind: 'topic', name: topic } as const]
    await driver.admin.declare(topicSpec, never)
    await driver.admin.declare(spec, never)
    await driver.admin.delete(topicSpec, never)
    await driver.admin.declare(topicSpec, never)
    await driver.admin.declare(spec, never)
    const sender = await driver.openSender(topicSpec, never)
    expect(await sender.send([outgoing('m', { subject: 'a' })], never)).toEqual([])
    const receiver = lab.open(
      await driver.openReceiver(spec, { prefetch: 1, leaseMs: 30_000, consumer: 'c', onLost() {} }, never),
    )
    expect((await receiver.receive(1, 5_000, never))[0]?.message.id).toBe('m')
  })

  test('that is ordered by key is a FIFO queue, which its topic fills in order', async () => {
    const topic = newTopic()
    const subscription = topic.subscription('s', { order: 'key' })
    await subscription.create()
    const numbers = Array.from({ length: 30 }, (_, n) => n)
    await topic.publishBatch(numbers.map((body) => ({ subject: 'a', body, key: `k${body % 3}` })))
    const seen: unknown[] = []
    const consumer = subscription.consume((body) => void seen.push(body))
    await expect.poll(() => seen.length, FACT).toBe(30)
    await consumer.close()
    for (const key of [0, 1, 2])
      expect(seen.filter((n) => Number(n) % 3 === key)).toEqual(numbers.filter((n) => n % 3 === key))
    expect(await lab.attributesOf(`${topic.name}--s.fifo`)).toMatchObject({ FifoQueue: 'true' })
  })
})

test('a message that is too large for SNS is refused before any request, alone', async () => {
  const { broker, driver } = lab.connected()
  const topic = newTopic(broker)
  await topic.publish('a', 1)
  const before = driver.calls.total
  const error = await failure(topic.publish('a', 'x'.repeat(256 * 1024)))
  expect(error).toMatchObject({ code: 'TOO_LARGE', outcome: 'rejected' })
  expect(driver.calls.total).toBe(before)
  const results = await topic.publishBatch([
    { subject: 'a', body: 'x'.repeat(256 * 1024) },
    { subject: 'a', body: 1 },
  ])
  expect(results.map(({ ok }) => ok)).toEqual([false, true])
})
