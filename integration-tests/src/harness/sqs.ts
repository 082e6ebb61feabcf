import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import {
  CreateQueueCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  type MessageAttributeValue,
  SendMessageCommand,
} from '@aws-sdk/client-sqs'
import { sqs } from '@msgloop/adapter-sqs'
import type { ForeignMessage, Harness } from '@msgloop/conformance'
import { memoryInboxBed, spawnHolder } from '@msgloop/conformance'
import type { Driver } from '@msgloop/core/driver'
import type { SqsServer } from '../sqs-server.js'
import type { TcpProxy } from '../tcp-proxy.js'
import { tcpProxy } from '../tcp-proxy.js'

const HOLDER = fileURLToPath(new URL('../../dist/holder.js', import.meta.url))
const SECRET = 's3cret-of-conformance'

/** What is true of one emulator. */
export type Emulator = Pick<Harness, 'cannotProve' | 'noTopics'>

/** Each driver goes through a proxy of its own, so that its connections can be cut and no others. */
export async function sqsHarness(server: SqsServer, emulator: Emulator): Promise<Harness> {
  const raw = server.client()
  const proxies = new Map<Driver, TcpProxy>()
  const proxyOf = (driver: Driver): TcpProxy => {
    const proxy = proxies.get(driver)
    if (!proxy) throw new Error('this driver is not of this harness')
    return proxy
  }
  const create = async (QueueName: string, Attributes?: Record<string, string>): Promise<string> => {
    const { QueueUrl = '' } = await raw.send(
      new CreateQueueCommand({ QueueName, ...(Attributes && { Attributes }) }),
    )
    return QueueUrl
  }
  return {
    adapter: 'sqs',
    version: server.version,
    unordered: 'SQS promises no order in standard queues',
    ...emulator,
    secrets: [SECRET],
    inbox: memoryInboxBed(),
    async openDriver() {
      const proxy = await tcpProxy(server)
      const endpoint = `${proxy.host}:${proxy.port}`
      const driver = sqs({ url: `sqs+http://conformance:${SECRET}@${endpoint}${server.query(proxy)}` })
      proxies.set(driver, proxy)
      return driver
    },
    unique: (prefix) => `${prefix.slice(0, 20)}-${randomUUID()}`,
    async disconnect(driver) {
      proxyOf(driver).cut()
    },
    async outage(driver) {
      const proxy = proxyOf(driver)
      proxy.down()
      return async () => proxy.up()
    },
    async sendForeign(queue, message) {
      const { QueueUrl } = await raw.send(new GetQueueUrlCommand({ QueueName: queue }))
      await raw.send(new SendMessageCommand({ QueueUrl, ...foreign(message) }))
    },
    async declareDrifted(queue) {
      const target = await create('drifted-target')
      const { Attributes } = await raw.send(
        new GetQueueAttributesCommand({ QueueUrl: target, AttributeNames: ['QueueArn'] }),
      )
      const policy = { deadLetterTargetArn: Attributes?.QueueArn, maxReceiveCount: 7 }
      await create(queue, { RedrivePolicy: JSON.stringify(policy) })
    },
    spawnConsumer: async (queue) => spawnHolder(HOLDER, [server.url(), queue]),
    async close() {
      for (const proxy of proxies.values()) await proxy.close()
      raw.destroy()
    },
  }
}

/** As any client would write it: plain attributes, and base64 for what is no text, as SQS takes nothing else. */
function foreign({ body, contentType, headers, id, correlationId, replyTo, type }: ForeignMessage) {
  const text = Buffer.from(body).toString()
  const isText = text.length > 0 && !/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFC]/.test(text)
  const attributes: Readonly<Record<string, string | undefined>> = {
    ...headers,
    'content-type': contentType,
    'message-id': id,
    'correlation-id': correlationId,
    'reply-to': replyTo,
    type,
    'content-encoding': isText ? undefined : 'base64',
  }
  const MessageAttributes: Record<string, MessageAttributeValue> = {}
  for (const [name, value] of Object.entries(attributes))
    if (value !== undefined) MessageAttributes[name] = { DataType: 'String', StringValue: value }
  return { MessageBody: isText ? text : Buffer.from(body).toString('base64'), MessageAttributes }
}
