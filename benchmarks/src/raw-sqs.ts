import { randomUUID } from 'node:crypto'
import type { Message } from '@aws-sdk/client-sqs'
import {
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  DeleteMessageCommand,
  DeleteQueueCommand,
  PurgeQueueCommand,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  SendMessageCommand,
  SQSClient,
} from '@aws-sdk/client-sqs'
import type { Rival } from './rival.js'
import { inWaves } from './rival.js'

/** Receives of ten under way at once. */
const POLLERS = 10
const BATCH = 10

/** The idiomatic program: one SendMessage and one DeleteMessage per message. */
export async function rawSqs(endpoint: string): Promise<Rival> {
  const { client, url, rival } = await open(endpoint)
  return {
    ...rival('the SDK as documented', async (messages) => {
      await Promise.all(
        messages.map(({ ReceiptHandle }) =>
          client.send(new DeleteMessageCommand({ QueueUrl: url, ReceiptHandle })),
        ),
      )
    }),
    async send(count, window, body) {
      await inWaves(count, window, () =>
        client.send(new SendMessageCommand({ QueueUrl: url, MessageBody: JSON.stringify(body) })),
      )
    },
  }
}

/** The best we can write by hand: batches of ten, many at once. */
export async function tunedSqs(endpoint: string): Promise<Rival> {
  const { client, url, rival } = await open(endpoint)
  return {
    ...rival('the SDK in batches of ten', async (messages) => {
      const Entries = messages.map(({ ReceiptHandle }, n) => ({ Id: String(n), ReceiptHandle }))
      const { Failed = [] } = await client.send(new DeleteMessageBatchCommand({ QueueUrl: url, Entries }))
      if (Failed.length > 0) throw new Error(`${Failed.length} messages were not deleted`)
    }),
    async send(count, window, body) {
      await inWaves(count / BATCH, window / BATCH, async () => {
        const Entries = Array.from({ length: BATCH }, (_, n) => ({
          Id: String(n),
          MessageBody: JSON.stringify(body),
        }))
        const { Failed = [] } = await client.send(new SendMessageBatchCommand({ QueueUrl: url, Entries }))
        if (Failed.length > 0) throw new Error(`${Failed.length} messages were not sent`)
      })
    },
  }
}

async function open(endpoint: string) {
  const client = new SQSClient({
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'bench', secretAccessKey: 'bench' },
    useQueueUrlAsEndpoint: false,
  })
  const { QueueUrl: url } = await client.send(new CreateQueueCommand({ QueueName: `raw-${randomUUID()}` }))
  const rival = (
    name: string,
    ack: (messages: readonly Message[]) => Promise<void>,
  ): Omit<Rival, 'send'> => ({
    name,
    async consume(count, _prefetch, handle) {
      let handled = 0
      const poll = async (): Promise<void> => {
        while (handled < count) {
          const { Messages = [] } = await client.send(
            new ReceiveMessageCommand({ QueueUrl: url, MaxNumberOfMessages: BATCH, WaitTimeSeconds: 1 }),
          )
          if (Messages.length === 0) continue
          for (const { Body } of Messages) handle(JSON.parse(Body ?? ''))
          handled += Messages.length
          await ack(Messages)
        }
      }
      await Promise.all(Array.from({ length: POLLERS }, poll))
      return async () => {}
    },
    async purge() {
      await client.send(new PurgeQueueCommand({ QueueUrl: url }))
    },
    async close() {
      await client.send(new DeleteQueueCommand({ QueueUrl: url }))
      client.destroy()
    },
  })
  return { client, url, rival }
}
