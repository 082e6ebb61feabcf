import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { DeleteQueueCommand, ListQueuesCommand, SendMessageCommand } from '@aws-sdk/client-sqs'
import { sqs } from '@msgloop/adapter-sqs'
import { createBroker } from '@msgloop/core'
import type { WireMessage } from '@msgloop/core/driver'
import { expect, test } from 'vitest'
import { startElasticmq } from '../elasticmq-server.js'
import { FACT, never, sqsLab } from '../sqs-lab.js'

const lab = sqsLab(startElasticmq)
const ASKER = fileURLToPath(new URL('../../dist/asker.js', import.meta.url))

async function replyQueues(): Promise<readonly string[]> {
  const { QueueUrls = [] } = await lab.raw.send(
    new ListQueuesCommand({ QueueNamePrefix: 'msgloop-replies-' }),
  )
  return QueueUrls
}

/** A broker whose reply queue is given up after 5 s without a sign of life. */
function shortLived() {
  return lab.open(createBroker(sqs({ url: lab.server.url(), replyQueueSeconds: 5 })))
}

test('there is no reply queue before the first request, one for all of them, and none after closing', async () => {
  const queue = lab.queue()
  const consumer = queue.consume((body) => body)
  const { broker } = lab.connected()
  const asking = broker.queue(queue.name)
  await asking.send('no question')
  expect(await replyQueues()).toEqual([])
  const answers = await Promise.all([1, 2, 3].map((n) => asking.request(n)))
  expect(answers).toEqual([1, 2, 3])
  expect(await replyQueues()).toHaveLength(1)
  await broker.close()
  expect(await replyQueues()).toEqual([])
  await consumer.close()
})

test('the queue of a killed process is deleted by one that asks later, and one in use is not, however old', async () => {
  const queue = lab.queue()
  const child = fork(ASKER, [lab.server.url(), queue.name], { stdio: 'inherit' })
  await expect.poll(replyQueues, FACT).toHaveLength(1)
  const [abandoned] = await replyQueues()
  const alive = shortLived().queue(queue.name)
  const question = alive.request('waits', { timeout: '60s' })
  await expect.poll(replyQueues, FACT).toHaveLength(2)
  const mine = (await replyQueues()).find((url) => url !== abandoned)
  child.kill('SIGKILL')
  await once(child, 'exit')
  await expect
    .poll(
      async () => {
        // Each is a process that asks next, and none of them knows of the others.
        const driver = lab.driver()
        const channel = await driver.replies.open({ onReply() {}, onLost() {} }, never)
        await new Promise((resolve) => setTimeout(resolve, 300))
        await channel.close()
        return await replyQueues()
      },
      { timeout: 20_000, interval: 500 },
    )
    .toEqual([mine])
  // It has been there for longer than its life by now, and is where its answer arrives.
  const consumer = queue.consume((body) => body)
  expect(await question).toBe('waits')
  await consumer.close()
})

test('a queue that somebody deletes is told, and the next request opens another', async () => {
  const queue = lab.queue()
  const consumer = queue.consume((body) => body)
  const asking = lab.connected().broker.queue(queue.name)
  expect(await asking.request(1)).toBe(1)
  const [url] = await replyQueues()
  await lab.raw.send(new DeleteQueueCommand({ QueueUrl: url }))
  await expect
    .poll(() => asking.request(2, { timeout: '2s' }).catch(() => undefined), {
      timeout: 40_000,
      interval: 100,
    })
    .toBe(2)
  expect(await replyQueues()).not.toContain(url)
  await consumer.close()
})

test('an answer goes to the queue of a foreign client, by URL or by name, FIFO too; one that is gone is no failure', async () => {
  const driver = lab.driver()
  const [plain, fifo] = [await lab.declared(driver), await lab.declared(driver, { dedupWindowMs: 300_000 })]
  const message: WireMessage = {
    id: 'a',
    body: Buffer.from('42'),
    headers: {},
    timestamp: 0,
    correlationId: 'q',
  }
  const addresses = [
    plain.name,
    await lab.urlOf(plain.name),
    `${fifo.name}.fifo`,
    await lab.urlOf(`${fifo.name}.fifo`),
    'nowhere',
    (await lab.urlOf(plain.name)).replace(plain.name, 'nowhere'),
  ]
  const batch = addresses.map((address, n) => ({ address, message: { ...message, id: `a${n}` } }))
  expect(await driver.replies.send(batch, never)).toEqual([])
  for (const spec of [plain, fifo]) {
    const receiver = await lab.receiver(driver, spec)
    const seen: unknown[] = []
    await expect
      .poll(async () => {
        for (const delivery of await receiver.receive(10, 500, never))
          seen.push(delivery.message.correlationId)
        return seen
      }, FACT)
      .toEqual(['q', 'q'])
  }
})

test('whoever knows only the correlation id answers by that', async () => {
  const queue = lab.queue()
  const asking = lab.connected().broker.queue(queue.name)
  const answer = asking.request('?', { correlationId: 'c', id: 'c' })
  const [question] = await queue.receive({ wait: '10s' })
  await lab.raw.send(
    new SendMessageCommand({
      QueueUrl: question?.replyTo,
      MessageBody: '"!"',
      MessageAttributes: { 'correlation-id': { DataType: 'String', StringValue: 'c' } },
    }),
  )
  expect(await answer).toBe('!')
  await question?.ack()
})
