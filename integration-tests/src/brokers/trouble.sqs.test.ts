import { SendMessageCommand } from '@aws-sdk/client-sqs'
import type { SqsDriver } from '@msgloop/adapter-sqs'
import type { Queue } from '@msgloop/core'
import { defineQueue, immediate, RetryAfter } from '@msgloop/core'
import type { Delivery } from '@msgloop/core/driver'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { startElasticmq } from '../elasticmq-server.js'
import { FACT, failure, never, outgoing, sqsLab } from '../sqs-lab.js'
import { tcpProxy } from '../tcp-proxy.js'

const HOUR_MS = 3_600_000

const lab = sqsLab(startElasticmq)
afterEach(() => {
  vi.unstubAllEnvs()
})

/** The requests that settling may make. */
function counted({ calls }: SqsDriver) {
  return { send: calls.send, delete: calls.delete, visibility: calls.visibility }
}

describe('what is legal elsewhere', () => {
  test.each(['a--b', 'a.-b'])(
    'a queue named "%s" is refused before any I/O, and the error says why',
    async (name) => {
      const { broker, driver } = lab.connected()
      const error = await failure(broker.queue(name).send({}))
      expect(error).toMatchObject({ code: 'INVALID', outcome: 'rejected' })
      expect(error.message).toMatch(/"\." is written "--"/)
      expect(driver.calls.total).toBe(0)
    },
  )

  test('a name that is too long with its prefix is refused before any I/O', async () => {
    const { broker, driver } = lab.connected(lab.server.url(undefined, `/${'p'.repeat(40)}`))
    const error = await failure(broker.queue('n'.repeat(60)).send({}))
    expect(error).toMatchObject({ code: 'INVALID', outcome: 'rejected' })
    expect(driver.calls.total).toBe(0)
  })

  test('queues of two prefixes are two queues', async () => {
    const name = lab.unique()
    const [a, b] = ['a-', 'b-'].map((prefix) =>
      lab.connected(lab.server.url(undefined, `/${prefix}`)).broker.queue(name),
    )
    await a?.send('of a')
    expect(await b?.receive({ wait: 300 })).toEqual([])
    const [delivery] = (await a?.receive({ wait: '5s' })) ?? []
    expect(delivery?.body).toBe('of a')
    await delivery?.ack()
  })

  test('characters that XML lacks arrive, in bodies, headers and fields', async () => {
    const queue = lab.queue()
    const strange = '\u0000\u0001\u001F\uFFFE\uFFFF end'
    await queue.send(strange, { headers: { h: strange }, type: strange })
    const [delivery] = await queue.receive({ wait: '5s' })
    expect(delivery?.body).toBe(strange)
    expect(delivery?.headers.h).toBe(strange)
    expect(delivery?.type).toBe(strange)
    await delivery?.ack()
  })

  test('64 headers arrive, though SQS has ten attributes', async () => {
    const queue = lab.queue()
    const headers = Object.fromEntries(Array.from({ length: 64 }, (_, n) => [`h${n}`, `${n}`]))
    await queue.send(
      {},
      { headers, type: 't', correlationId: 'c', traceparent: `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01` },
    )
    const [delivery] = await queue.receive({ wait: '5s' })
    expect({ ...delivery?.headers }).toEqual(headers)
    await delivery?.ack()
  })
})

describe('one bad entry of a batch', () => {
  test('that is too large fails alone, as TOO_LARGE and rejected', async () => {
    const driver = lab.driver()
    const spec = await lab.declared(driver)
    const sender = await driver.openSender(spec, never)
    const body = Buffer.alloc(1_100_000, 'x')
    const failures = await sender.send([outgoing('a'), outgoing('b', { body }), outgoing('c')], never)
    expect(failures.map(({ index }) => index)).toEqual([1])
    expect(driver.classify(failures[0]?.error)).toMatchObject({ code: 'TOO_LARGE', outcome: 'rejected' })
    const { receiver } = await lab.receiveOne(driver, spec)
    await expect.poll(async () => (await driver.admin.stats(spec, never)).ready, FACT).toBe(0)
    await receiver.close()
  })

  test('that SQS itself refuses, of a request that succeeds, is told by its index', async () => {
    const driver = lab.driver()
    const spec = await lab.declared(driver, { dedupWindowMs: 300_000 })
    const sender = await driver.openSender(spec, never)
    const failures = await sender.send(
      ['a', 'no group id: ü', 'c'].map((id) => outgoing(id)),
      never,
    )
    expect(failures.map(({ index }) => index)).toEqual([1])
    expect(driver.classify(failures[0]?.error)).toMatchObject({ code: 'INVALID', outcome: 'rejected' })
    const receiver = await lab.receiver(driver, spec)
    const ids = new Set<string>()
    await expect
      .poll(async () => {
        for (const { message } of await receiver.receive(10, 200, never)) ids.add(message.id)
        return [...ids].sort()
      }, FACT)
      .toEqual(['a', 'c'])
  })
})

describe('access', () => {
  test('without any credentials is DENIED, with advice, and nothing is sent', async () => {
    for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE'])
      vi.stubEnv(name, undefined)
    vi.stubEnv('AWS_EC2_METADATA_DISABLED', 'true')
    vi.stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/nowhere')
    vi.stubEnv('AWS_CONFIG_FILE', '/nowhere')
    const { broker } = lab.connected(`sqs+http://${lab.server.host}:${lab.server.port}`)
    const error = await failure(broker.queue(lab.unique()).send({}))
    expect(error).toMatchObject({ code: 'DENIED', outcome: 'rejected', retryable: false })
    expect(error.message).toMatch(/set AWS_ACCESS_KEY_ID/)
  })

  test('with wrong credentials', (context) =>
    context.skip('ElasticMQ takes any credentials; errors.test.ts holds what AWS answers'))

  test('to a host that does not exist is UNREACHABLE, and names the address', async () => {
    const { broker } = lab.connected('sqs+http://k:s3cret@nowhere.invalid')
    const error = await failure(broker.connect({ timeout: '4s' }))
    expect(['UNREACHABLE', 'TIMEOUT']).toContain(error.code)
    expect(error.message).toContain('sqs+http://nowhere.invalid')
    expect(error.message).not.toContain('s3cret')
  })

  test('to a port where nothing listens is UNREACHABLE, and a send is certainly not stored', async () => {
    const proxy = await tcpProxy(lab.server)
    await proxy.close()
    const { broker } = lab.connected(lab.server.url(proxy))
    const error = await failure(broker.queue(defineQueue(lab.unique(), { sendTimeout: '1s' })).send({}))
    expect(error).toMatchObject({ code: 'TIMEOUT', outcome: 'rejected', retryable: true })
    expect(error.message).toMatch(/ECONNREFUSED/)
  })

  test('through a line that is dead without being closed ends in time, with an unknown outcome, and comes back', async () => {
    const proxy = await tcpProxy(lab.server)
    lab.open(proxy)
    const queue = lab.queue({ sendTimeout: '1s' }, lab.connected(lab.server.url(proxy)).broker)
    await queue.send('before')
    proxy.stall()
    const error = await failure(queue.send('during'))
    expect(error).toMatchObject({ code: 'TIMEOUT', outcome: 'unknown' })
    proxy.flow()
    await expect
      .poll(
        () =>
          queue.send('after').then(
            () => true,
            () => false,
          ),
        FACT,
      )
      .toBe(true)
  })
})

describe('a delay by hops', () => {
  /** As msgloop stores it when its 900 s are over. */
  const waiting = async (queue: Queue<unknown>, delay: number): Promise<void> => {
    await queue.stats()
    await lab.raw.send(
      new SendMessageCommand({
        QueueUrl: await lab.urlOf(queue.name),
        MessageBody: '1',
        MessageAttributes: {
          'message-id': { DataType: 'String', StringValue: 'waiting' },
          msgloop: { DataType: 'String', StringValue: JSON.stringify({ delay }) },
        },
      }),
    )
  }

  test.each([2_500, 1])(
    'of %d ms ends on time, and its hop is neither attempt nor delivery',
    async (delay) => {
      const queue = lab.queue({ retry: immediate({ attempts: 3 }) })
      const sentAt = Date.now()
      await waiting(queue, delay)
      const seen: { at: number; attempt: number; deliveries: number }[] = []
      const consumer = queue.consume((_, { attempt, deliveries }) => {
        seen.push({ at: Date.now(), attempt, deliveries })
        if (attempt === 1) throw new Error('once')
      })
      await expect.poll(() => seen.length, FACT).toBe(2)
      await consumer.close()
      expect(seen.map(({ attempt, deliveries }) => [attempt, deliveries])).toEqual([
        [1, 1],
        [2, 2],
      ])
      // The broker's clock is told in whole seconds.
      expect((seen[0]?.at ?? 0) - sentAt).toBeGreaterThanOrEqual(delay - 5)
    },
  )

  test('of days is hidden for hours at its first receipt, and no handler sees it', async () => {
    const queue = lab.queue()
    await waiting(queue, 3 * 24 * HOUR_MS)
    const { broker, driver } = lab.connected()
    const consumer = broker.queue(queue.name).consume(() => {})
    await expect.poll(() => driver.calls.visibility, FACT).toBe(1)
    await consumer.close()
    await expect
      .poll(async () => (await lab.attributesOf(queue.name)).ApproximateNumberOfMessagesNotVisible, FACT)
      .toBe('1')
    expect(await queue.receive({ wait: 300 })).toEqual([])
  })

  test('of a FIFO queue, which has none of its own, is kept', async () => {
    const queue = lab.queue({ dedup: '5m' })
    const sentAt = Date.now()
    await queue.send('later', { delay: '2s' })
    const [delivery] = await queue.receive({ wait: '10s' })
    expect(delivery?.body).toBe('later')
    expect([delivery?.attempt, delivery?.deliveries]).toEqual([1, 1])
    expect(Date.now() - sentAt).toBeGreaterThanOrEqual(2_000)
    await delivery?.ack()
  })
})

describe('a retry', () => {
  test('is one request, and changes nothing but when the message is visible', async () => {
    const driver = lab.driver()
    const spec = await lab.declared(driver)
    await (await driver.openSender(spec, never)).send([outgoing('m')], never)
    const { receiver, delivery } = await lab.receiveOne(driver, spec)
    const before = { ...counted(driver) }
    const verdict = { kind: 'retry', delayMs: HOUR_MS, headers: {} } as const
    expect(await receiver.settle([{ token: delivery?.token, verdict }])).toEqual([])
    expect(counted(driver)).toEqual({ ...before, visibility: before.visibility + 1 })
    expect(await lab.attributesOf(spec.name)).toMatchObject({ ApproximateNumberOfMessagesNotVisible: '1' })
  })

  test('after more than the 12 hours that SQS hides a message is stored afresh, and the original is gone', async () => {
    const queue = lab.queue()
    await queue.send({}, { id: 'm' })
    const [delivery] = await queue.receive({ wait: '5s' })
    await delivery?.retry({ delay: '13h' })
    expect(await lab.attributesOf(queue.name)).toMatchObject({
      ApproximateNumberOfMessages: '0',
      ApproximateNumberOfMessagesNotVisible: '0',
      ApproximateNumberOfMessagesDelayed: '1',
    })
  })

  test('of a message that another retry of its key waits with holds up neither, in a FIFO queue', async () => {
    const queue = lab.queue({ dedup: '5m' })
    const seen: string[] = []
    const consumer = queue.consume((body, { attempt }) => {
      seen.push(`${body} ${attempt}`)
      if (body === 'slow' && attempt === 1) throw new RetryAfter('2s')
    })
    await queue.send('slow', { key: 'same' })
    await expect.poll(() => seen, FACT).toEqual(['slow 1'])
    await queue.send('quick', { key: 'same' })
    await expect.poll(() => seen, FACT).toEqual(['slow 1', 'quick 1', 'slow 2'])
    await consumer.close()
  })
})

describe('the window of a FIFO queue', () => {
  test('drops the same id, but no dead letter of it, no replay, and no release', async () => {
    const queue = lab.queue({ dedup: '5m', retry: immediate({ attempts: 1 }) })
    await queue.send('once', { id: 'same' })
    await queue.send('twice', { id: 'same' })
    const [first] = await queue.receive({ wait: '5s' })
    await first?.release()
    const [released] = await queue.receive({ wait: '5s' })
    expect([released?.body, released?.attempt, released?.deliveries]).toEqual(['once', 1, 2])
    await released?.reject(new Error('no'))
    expect((await queue.deadLetters.replay()).replayed).toBe(1)
    const [replayed] = await queue.receive({ wait: '5s' })
    expect([replayed?.id, replayed?.body, replayed?.replays]).toEqual(['same', 'once', 1])
    await replayed?.ack()
    expect(await queue.receive({ wait: 300 })).toEqual([])
  })

  test('has a dead-letter queue of its own kind behind it, as SQS moves to no other', async () => {
    const queue = lab.queue({ dedup: '5m' })
    await queue.stats()
    const { RedrivePolicy = '{}' } = await lab.attributesOf(`${queue.name}.fifo`)
    expect(JSON.parse(RedrivePolicy)).toMatchObject({
      deadLetterTargetArn: expect.stringMatching(/--dlq\.fifo$/),
      maxReceiveCount: 400,
    })
  })
})

describe('a request for messages', () => {
  test('that is under way when its consumer closes hides nothing: what it brings is given back, at no attempt', async () => {
    const queue = lab.queue()
    const { broker, driver } = lab.connected()
    const consumer = broker.queue(queue.name).consume(() => {})
    await consumer.ready
    await expect.poll(() => driver.calls.receive, FACT).toBeGreaterThan(0)
    await consumer.close()
    await queue.send('just after')
    const [delivery] = await queue.receive({ wait: '8s' })
    expect([delivery?.body, delivery?.attempt]).toEqual(['just after', 1])
    await delivery?.ack()
  })

  test('never asks for more than there are free slots', async () => {
    const queue = lab.queue()
    await queue.sendBatch(Array.from({ length: 30 }, (_, body) => ({ body })))
    const { broker } = lab.connected()
    const held: unknown[] = []
    const gate: (() => void)[] = []
    const consumer = broker.queue(queue.name).consume(
      (body) => {
        held.push(body)
        return new Promise<void>((resolve) => gate.push(resolve))
      },
      { concurrency: 13 },
    )
    await expect.poll(() => held.length, FACT).toBe(13)
    expect(await lab.attributesOf(queue.name)).toMatchObject({
      ApproximateNumberOfMessages: '17',
      ApproximateNumberOfMessagesNotVisible: '13',
    })
    const closing = consumer.close()
    for (const release of gate) release()
    await closing
  })
})

test('under load a message costs at most 0.35 requests, for its send, its receipt and its deletion', async () => {
  const { broker, driver } = lab.connected()
  const queue = lab.queue({}, broker)
  await queue.send('first')
  const before = driver.calls.total
  const count = 2_000
  await Promise.all(Array.from({ length: count }, (_, n) => queue.send(n)))
  let handled = 0
  const consumer = queue.consume(
    () => {
      handled++
    },
    { concurrency: 50 },
  )
  await expect.poll(() => handled, { timeout: 60_000, interval: 50 }).toBe(count + 1)
  await consumer.close()
  expect((driver.calls.total - before) / count).toBeLessThanOrEqual(0.35)
})

test('an old handle settles nothing: what was not renewed is lost to us, before any request is made', async () => {
  const driver = lab.driver()
  const spec = await lab.declared(driver)
  await (await driver.openSender(spec, never)).send([outgoing('m')], never)
  const receiver = await lab.receiver(driver, spec, 1_000)
  const [stale]: readonly Delivery[] = await receiver.receive(1, 5_000, never)
  const { delivery } = await lab.receiveOne(lab.driver(), spec)
  expect(delivery?.message.id).toBe('m')
  const before = driver.calls.total
  const verdicts = [
    { kind: 'ack' },
    { kind: 'release' },
    { kind: 'retry', delayMs: 0, headers: {} },
    { kind: 'move', to: 'x', headers: {} },
  ] as const
  for (const verdict of verdicts) {
    const [failed] = await receiver.settle([{ token: stale?.token, verdict }])
    expect(driver.classify(failed?.error).code).toBe('LEASE_LOST')
  }
  expect(driver.calls.total).toBe(before)
})
