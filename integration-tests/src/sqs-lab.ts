import { randomUUID } from 'node:crypto'
import type { SQSClient } from '@aws-sdk/client-sqs'
import { GetQueueAttributesCommand, GetQueueUrlCommand } from '@aws-sdk/client-sqs'
import type { SqsDriver } from '@msgloop/adapter-sqs'
import { sqs } from '@msgloop/adapter-sqs'
import type { Broker, Queue, QueueOptions } from '@msgloop/core'
import { createBroker, defineQueue, MsgloopError } from '@msgloop/core'
import type { Delivery, Driver, Outgoing, QueueSpec, Receiver, WireMessage } from '@msgloop/core/driver'
import { afterAll, afterEach, beforeAll } from 'vitest'

/** How long a fact may take to come true. */
export const FACT = { timeout: 15_000, interval: 20 }
/** A signal for what is not to be aborted. */
export const never: AbortSignal = new AbortController().signal

const OPTIONS = { prefetch: 10, leaseMs: 30_000, consumer: 'c', onLost: () => {} }

export interface LabServer {
  url(): string
  client(): SQSClient
  stop(): Promise<void>
}

/** A real broker for one test file, and short ways to use it; what a test opens is closed behind it. */
export interface SqsLab<S extends LabServer> {
  readonly server: S
  /** A client of the SDK alone. */
  readonly raw: SQSClient
  unique(): string
  /** Closed after the test, last come, first closed. */
  open<T extends { close(): Promise<void> }>(what: T): T
  connected(url?: string): { broker: Broker; driver: SqsDriver }
  queue(options?: QueueOptions<unknown>, broker?: Broker): Queue<unknown>
  driver(): SqsDriver
  /** A queue for a driver alone. */
  declared(driver: Driver, rest?: Partial<QueueSpec>): Promise<QueueSpec>
  receiver(driver: Driver, spec: QueueSpec, leaseMs?: number): Promise<Receiver>
  receiveOne(driver: Driver, spec: QueueSpec): Promise<{ receiver: Receiver; delivery: Delivery | undefined }>
  urlOf(queue: string): Promise<string>
  attributesOf(queue: string): Promise<Readonly<Record<string, string>>>
}

export function sqsLab<S extends LabServer>(start: () => Promise<S>): SqsLab<S> {
  let started: { readonly server: S; readonly raw: SQSClient } | undefined
  const opened: { close(): Promise<void> }[] = []
  const running = () => {
    if (!started) throw new Error('the broker did not start')
    return started
  }
  beforeAll(async () => {
    const server = await start()
    started = { server, raw: server.client() }
  })
  afterAll(async () => {
    started?.raw.destroy()
    await started?.server.stop()
  })
  afterEach(async () => {
    for (const each of opened.splice(0).reverse()) await each.close()
  })
  const lab: SqsLab<S> = {
    get server() {
      return running().server
    },
    get raw() {
      return running().raw
    },
    unique: () => `lab-${randomUUID()}`,
    open(what) {
      opened.push(what)
      return what
    },
    connected(url = lab.server.url()) {
      const driver = sqs({ url })
      return { driver, broker: lab.open(createBroker(driver)) }
    },
    queue: (options = {}, broker = lab.connected().broker) =>
      broker.queue<unknown>(defineQueue<unknown>(lab.unique(), options)),
    driver: () => lab.open(sqs({ url: lab.server.url() })),
    async declared(driver, rest = {}) {
      const shared = {
        kind: 'queue',
        leaseMs: 30_000,
        dedupWindowMs: 0,
        order: 'none',
      } as const
      const name = lab.unique()
      const work = { name, role: 'work', deadLetter: `${name}.dlq`, deliveryLimit: 400 } as const
      const spec: QueueSpec = { ...shared, ...work, ...rest }
      await driver.admin.declare({ ...shared, name: `${name}.dlq`, role: 'dead-letter' }, never)
      await driver.admin.declare(spec, never)
      return spec
    },
    receiver: async (driver, spec, leaseMs = OPTIONS.leaseMs) =>
      lab.open(await driver.openReceiver(spec, { ...OPTIONS, leaseMs }, never)),
    async receiveOne(driver, spec) {
      const receiver = await lab.receiver(driver, spec)
      const [delivery] = await receiver.receive(1, 5_000, never)
      return { receiver, delivery }
    },
    async urlOf(QueueName) {
      const { QueueUrl = '' } = await lab.raw.send(new GetQueueUrlCommand({ QueueName }))
      return QueueUrl
    },
    async attributesOf(queue) {
      const QueueUrl = await lab.urlOf(queue)
      const { Attributes } = await lab.raw.send(
        new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['All'] }),
      )
      return Attributes ?? {}
    },
  }
  return lab
}

export const outgoing = (id: string, rest: Partial<WireMessage> = {}, delayMs = 0): Outgoing => ({
  delayMs,
  message: { id, body: Buffer.from('1'), headers: {}, timestamp: Date.now(), ...rest },
})

export async function failure(promise: Promise<unknown>): Promise<MsgloopError> {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof MsgloopError) return error
  throw new Error(`expected a MsgloopError, saw ${error}`)
}
