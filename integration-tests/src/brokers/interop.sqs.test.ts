import { randomUUID } from 'node:crypto'
import type { Message, SQSClient } from '@aws-sdk/client-sqs'
import {
  GetQueueUrlCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
} from '@aws-sdk/client-sqs'
import { sqs } from '@msgloop/adapter-sqs'
import type { Broker, Queue } from '@msgloop/core'
import { bytes, createBroker, defineQueue, immediate, text } from '@msgloop/core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startElasticmq } from '../elasticmq-server.js'
import type { SqsServer } from '../sqs-server.js'

let server: SqsServer
let raw: SQSClient
let broker: Broker

beforeAll(async () => {
  server = await startElasticmq()
  raw = server.client()
  broker = createBroker(sqs({ url: server.url() }))
})
afterAll(async () => {
  await broker?.close()
  raw?.destroy()
  await server?.stop()
})

const unique = (): string => `interop-${randomUUID()}`

async function urlOf(queue: string): Promise<string> {
  const { QueueUrl = '' } = await raw.send(new GetQueueUrlCommand({ QueueName: queue }))
  return QueueUrl
}

/** A queue that is there, and its URL. */
async function declared(): Promise<{ queue: Queue<unknown>; url: string }> {
  const queue = broker.queue<unknown>(defineQueue(unique(), { retry: immediate({ attempts: 1 }) }))
  await queue.stats()
  return { queue, url: await urlOf(queue.name) }
}

async function receiveRaw(QueueUrl: string): Promise<Message> {
  const { Messages = [] } = await raw.send(
    new ReceiveMessageCommand({
      QueueUrl,
      WaitTimeSeconds: 5,
      MessageAttributeNames: ['All'],
      MessageSystemAttributeNames: ['All'],
    }),
  )
  const [message] = Messages
  if (!message) throw new Error('no message came')
  return message
}

const string = (StringValue: string) => ({ DataType: 'String', StringValue })

test('a message of the bare SDK, without any attribute, is consumed as JSON under the id SQS gave it', async () => {
  const { queue, url } = await declared()
  const { MessageId } = await raw.send(
    new SendMessageCommand({ QueueUrl: url, MessageBody: '{"from":"sdk"}' }),
  )
  const [delivery] = await queue.receive({ wait: '5s' })
  expect(delivery?.body).toEqual({ from: 'sdk' })
  expect(delivery?.id).toBe(MessageId)
  expect(delivery?.attempt).toBe(1)
  await delivery?.ack()
})

test('a form that any HTTP client can post is consumed, too', async () => {
  const { queue, url } = await declared()
  const form = new URLSearchParams({
    Action: 'SendMessage',
    Version: '2012-11-05',
    MessageBody: '[1,2]',
    QueueUrl: url,
  })
  const answer = await fetch(`http://${server.host}:${server.port}/`, { method: 'POST', body: form })
  expect(answer.status).toBe(200)
  const [delivery] = await queue.receive({ wait: '5s' })
  expect(delivery?.body).toEqual([1, 2])
  await delivery?.ack()
})

test('fields that another client sets as attributes are the fields of the message', async () => {
  const { queue, url } = await declared()
  await raw.send(
    new SendMessageBatchCommand({
      QueueUrl: url,
      Entries: [
        {
          Id: 'a',
          MessageBody: 'plain',
          MessageAttributes: {
            'message-id': string('order-1'),
            'content-type': string('text/plain'),
            'correlation-id': string('c'),
            type: string('order.created'),
            traceparent: string('00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'),
          },
        },
      ],
    }),
  )
  const [delivery] = await queue.receive({ wait: '5s' })
  expect(delivery).toMatchObject({
    id: 'order-1',
    body: 'plain',
    contentType: 'text/plain',
    correlationId: 'c',
    type: 'order.created',
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  })
  expect({ ...delivery?.headers }).toEqual({})
  await delivery?.ack()
})

test('ten attributes of any type are headers, and survive dead-lettering and replay', async () => {
  const { queue, url } = await declared()
  const MessageAttributes = {
    count: { DataType: 'Number', StringValue: '42' },
    blob: { DataType: 'Binary', BinaryValue: new Uint8Array([0, 255]) },
    ...Object.fromEntries(Array.from({ length: 8 }, (_, n) => [`a${n}`, string(`v${n}`)])),
  }
  await raw.send(new SendMessageCommand({ QueueUrl: url, MessageBody: '1', MessageAttributes }))
  const headers = {
    count: '42',
    blob: 'AP8=',
    ...Object.fromEntries(Array.from({ length: 8 }, (_, n) => [`a${n}`, `v${n}`])),
  }
  const [first] = await queue.receive({ wait: '5s' })
  expect({ ...first?.headers }).toEqual(headers)
  await first?.reject(new Error('no'))
  expect((await queue.deadLetters.replay()).replayed).toBe(1)
  const [again] = await queue.receive({ wait: '5s' })
  expect({ ...again?.headers }).toEqual(headers)
  expect(again?.id).toBe(first?.id)
  expect(again?.replays).toBe(1)
  await again?.ack()
})

test('what msgloop sends is readable by the bare SDK: JSON as it is, fields as attributes, the rest as one JSON', async () => {
  const { queue, url } = await declared()
  const id = await queue.send(
    { n: 1, text: 'grüße 🚀' },
    { headers: { tenant: 'a' }, key: 'k', type: 'made', correlationId: 'c', ttl: '1h' },
  )
  const { Body, MessageAttributes = {} } = await receiveRaw(url)
  expect(JSON.parse(Body ?? '')).toEqual({ n: 1, text: 'grüße 🚀' })
  const values = Object.fromEntries(
    Object.entries(MessageAttributes).map(([name, { StringValue }]) => [name, StringValue]),
  )
  const { msgloop, ...fields } = values
  expect(fields).toEqual({
    'message-id': id,
    'content-type': 'application/json',
    type: 'made',
    'correlation-id': 'c',
  })
  // The time of sending stands there where it is not the one in the id: a millisecond may lie between them.
  const { timestamp: _, ...rest } = JSON.parse(msgloop ?? '')
  expect(rest).toEqual({ headers: { tenant: 'a' }, key: 'k', expiresAt: expect.any(Number) })
})

test('bytes travel as base64, and say so', async () => {
  const queue = broker.queue<unknown>(defineQueue(unique(), { codec: bytes() }))
  await queue.send(new Uint8Array([0, 255]))
  const { Body, MessageAttributes } = await receiveRaw(await urlOf(queue.name))
  expect(Body).toBe('AP8=')
  expect(MessageAttributes?.['content-encoding']?.StringValue).toBe('base64')
})

test('text is text, whatever its script', async () => {
  const queue = broker.queue<unknown>(defineQueue(unique(), { codec: text() }))
  await queue.send('a\tb\r\n世界')
  const { Body, MessageAttributes } = await receiveRaw(await urlOf(queue.name))
  expect(Body).toBe('a\tb\r\n世界')
  expect(MessageAttributes?.['content-encoding']).toBeUndefined()
})

test('a queue with a window for duplicates is a FIFO queue, in which each message is a group of its own', async () => {
  const queue = broker.queue<unknown>(defineQueue(unique(), { dedup: '5m' }))
  await queue.send(1, { id: 'order-1', key: 'customer' })
  const { Attributes } = await receiveRaw(await urlOf(`${queue.name}.fifo`))
  expect(Attributes).toMatchObject({ MessageGroupId: 'order-1', MessageDeduplicationId: 'order-1' })
})
