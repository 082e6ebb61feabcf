import type { QueueAttributeName, SQSClient } from '@aws-sdk/client-sqs'
import {
  CreateQueueCommand,
  DeleteQueueCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  SetQueueAttributesCommand,
} from '@aws-sdk/client-sqs'
import type { DriftRow } from '../drift-suite.js'
import { describeDrifts } from '../drift-suite.js'
import { startMoto } from '../moto-server.js'

const DAYS_14 = String(14 * 86_400)

let raw: SQSClient

const physical = (name: string): string => name.replaceAll('.', '--')

async function urlOf(name: string): Promise<string> {
  const { QueueUrl = '' } = await raw.send(new GetQueueUrlCommand({ QueueName: physical(name) }))
  return QueueUrl
}

const attributesAre =
  (
    attributes: Partial<Record<QueueAttributeName, string>>,
    queue: (name: string) => string = (name) => name,
  ) =>
  async (name: string): Promise<void> => {
    const QueueUrl = await urlOf(queue(name))
    await raw.send(new SetQueueAttributesCommand({ QueueUrl, Attributes: attributes }))
  }

async function arnOfNew(name: string): Promise<string> {
  const { QueueUrl } = await raw.send(new CreateQueueCommand({ QueueName: physical(name) }))
  const asked = new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] })
  return (await raw.send(asked)).Attributes?.QueueArn ?? ''
}

const redrive = (deadLetterTargetArn: string, maxReceiveCount: number): string =>
  JSON.stringify({ deadLetterTargetArn, maxReceiveCount })

const is =
  (field: string, actual: string, expected: string) =>
  (name: string): string =>
    `queue "${name}": ${field} is ${actual}, not ${expected}`

const ROWS: readonly DriftRow[] = [
  { what: 'no queue', make: async () => {}, says: (name) => `queue "${name}" is missing` },
  {
    what: 'no dead-letter queue',
    make: (name) => arnOfNew(name),
    says: (name) => `queue "${name}.dlq" is missing`,
  },
  {
    what: 'messages that are kept for less',
    after: true,
    make: attributesAre({ MessageRetentionPeriod: '3600' }),
    says: is('MessageRetentionPeriod', '3600', DAYS_14),
  },
  {
    what: 'dead letters that are kept for less',
    after: true,
    make: attributesAre({ MessageRetentionPeriod: '3600' }, (name) => `${name}.dlq`),
    says: (name) => `queue "${name}.dlq": MessageRetentionPeriod is 3600, not ${DAYS_14}`,
  },
  {
    what: 'a delay of every message',
    after: true,
    make: attributesAre({ DelaySeconds: '300' }),
    says: is('DelaySeconds', '300', '0'),
  },
  {
    what: 'a most of bytes of a message',
    after: true,
    make: attributesAre({ MaximumMessageSize: '1024' }),
    says: is('MaximumMessageSize', '1024', 'at least 262144'),
  },
  {
    what: 'no redrive policy',
    make: (name) => arnOfNew(name),
    says: (name) => new RegExp(`^queue "${name}": RedrivePolicy.deadLetterTargetArn is none, not `),
  },
  {
    what: 'another target of the redrive policy',
    after: true,
    make: async (name) => {
      const arn = await arnOfNew(`${name}.other`)
      await attributesAre({ RedrivePolicy: redrive(arn, 400) })(name)
    },
    says: (name) => new RegExp(`^queue "${name}": RedrivePolicy.deadLetterTargetArn is \\S+--other, not `),
  },
  {
    what: 'another count of the redrive policy',
    after: true,
    make: async (name) => {
      const arn = await arnOfNew(`${name}.dlq2`)
      await attributesAre({ RedrivePolicy: redrive(arn, 7) })(name)
    },
    says: is('RedrivePolicy.maxReceiveCount', '7', '400'),
  },
  {
    what: 'dead letters that SQS moves on after some looks',
    after: true,
    make: async (name) => {
      const arn = await arnOfNew(`${name}.dlq2`)
      await attributesAre({ RedrivePolicy: redrive(arn, 3) }, (each) => `${each}.dlq`)(name)
    },
    says: (name) =>
      new RegExp(`^queue "${name}.dlq": RedrivePolicy.deadLetterTargetArn is \\S+--dlq2, not none$`),
  },
  {
    what: 'a standard queue where order by key is wanted',
    options: { order: 'key' },
    make: (name) => arnOfNew(name),
    says: (name) => `queue "${name}" is missing`,
  },
  {
    what: 'a dead-letter queue that is gone',
    after: true,
    make: async (name) => {
      await raw.send(new DeleteQueueCommand({ QueueUrl: await urlOf(`${name}.dlq`) }))
    },
    says: (name) => `queue "${name}.dlq" is missing`,
  },
  {
    what: 'no topic',
    wants: (name) => ({ topics: [{ topic: name }] }),
    make: async () => {},
    says: (name) => `topic "${name}" is missing`,
  },
]

describeDrifts(
  'SQS',
  async () => {
    const server = await startMoto()
    raw = server.client()
    return {
      url: server.url(),
      async stop() {
        raw.destroy()
        await server.stop()
      },
    }
  },
  ROWS,
)
