import { randomUUID } from 'node:crypto'
import { rabbitmq } from '@msgloop/adapter-rabbitmq'
import type { Broker } from '@msgloop/core'
import { createBroker, defineQueue } from '@msgloop/core'
import type { Driver } from '@msgloop/core/driver'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { faultQueue } from '../fault-queue.js'
import type { FaultSuiteOptions } from '../fault-suite.js'
import { describeFaults } from '../fault-suite.js'
import { Ledger } from '../ledger.js'
import type { RabbitmqServer } from '../rabbitmq-server.js'
import { startRabbitmq } from '../rabbitmq-server.js'
import { describeTopicFaults } from '../topic-fault-suite.js'

const options: FaultSuiteOptions = {
  start: () => startRabbitmq('rabbitmq:4-management'),
  pausedUrl: (url) => `${url}?heartbeat=2`,
  // After a SIGKILL the dead-letter worker of a delay level may run before the broker has recovered its
  // exchanges; it then tries again after `dead_letter_worker_publisher_confirm_timeout`, 3 min by default.
  drainMs: 240_000,
  // RabbitMQ writes down the members of a new quorum queue within half a second or so; one that is killed
  // earlier has forgotten the queue for good. That is the broker's, and not what is tested here.
  declaredMs: 3_000,
}

describeFaults('RabbitMQ', options)
describeTopicFaults('RabbitMQ', options)

describe('faults that only RabbitMQ knows', () => {
  let server: RabbitmqServer
  let ledger: Ledger
  let name: string
  const open: Broker[] = []

  const broker = (url: string): Broker => {
    const opened = createBroker(rabbitmq({ url }))
    open.push(opened)
    return opened
  }

  beforeAll(async () => {
    server = await startRabbitmq('rabbitmq:4-management')
  })
  afterAll(async () => {
    await server?.stop()
  })
  beforeEach(() => {
    ledger = new Ledger()
    name = `faults-${randomUUID()}`
  })
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each.close()
  })

  test('a blocked connection holds sends back and lets consumers go on', { timeout: 120_000 }, async () => {
    const queue = broker(server.url()).queue(faultQueue(name, '3s'))
    for (let n = 1; n < 40; n++) await ledger.send(queue, { n }, `before-${n}`)
    await server.rabbitmqctl('set_vm_memory_high_watermark', 'absolute', '1MB')
    try {
      // The alarm is raised by the next check, and told to a connection when it next publishes.
      let blocked: unknown
      for (let n = 1; !blocked && n < 2_000; n++) {
        await queue.send({ n }, { id: `during-${n}` }).then(
          () => ledger.confirmed.add(`during-${n}`),
          (error) => {
            blocked = error
          },
        )
      }
      expect(blocked).toMatchObject({ code: 'TIMEOUT' })
      // n is never a multiple of ten here that fails, so no copy has to be published to process them.
      const done = broker(server.url())
        .queue(faultQueue(name))
        .consume((_body, message) => ledger.processed(message.id))
      await ledger.settled(20_000)
      await done.close()
    } finally {
      await server.rabbitmqctl('set_vm_memory_high_watermark', '0.6')
    }
    await queue.send({ n: 1 })
    await queue.delete()
  })

  test('a channel closed by the server fails only what was on it', { timeout: 120_000 }, async () => {
    const driver = rabbitmq({ url: server.url() })
    const { limits } = driver.capabilities
    // A driver that promises too much makes the server close the channel with 406.
    const bodyBytes = limits.bodyBytes * 2
    const liar: Driver = {
      name: driver.name,
      address: driver.address,
      capabilities: { ...driver.capabilities, limits: { ...limits, bodyBytes, sendBatchBytes: bodyBytes } },
      admin: driver.admin,
      connect: (signal) => driver.connect(signal),
      openSender: (destination, signal) => driver.openSender(destination, signal),
      openReceiver: (source, options, signal) => driver.openReceiver(source, options, signal),
      classify: (error) => driver.classify(error),
      native: () => driver.native(),
      close: () => driver.close(),
    }
    const opened = createBroker(liar)
    open.push(opened)
    const queue = opened.queue(defineQueue<string>(name, { sendTimeout: '10s' }))
    const seen: string[] = []
    const consumer = queue.consume((body) => seen.push(body))
    await consumer.ready
    await queue.send('before')
    await expect(queue.send('x'.repeat(limits.bodyBytes + 10))).rejects.toMatchObject({ code: 'TOO_LARGE' })
    await queue.send('after')
    await expect.poll(() => seen, { timeout: 10_000 }).toEqual(['before', 'after'])
    await queue.delete()
  })
})
