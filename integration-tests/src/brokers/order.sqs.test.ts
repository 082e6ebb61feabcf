import { ReceiveMessageCommand, SendMessageCommand } from '@aws-sdk/client-sqs'
import type { Delivery, Receiver } from '@msgloop/core/driver'
import { describe, expect, test } from 'vitest'
import { startElasticmq } from '../elasticmq-server.js'
import { FACT, never, outgoing, sqsLab } from '../sqs-lab.js'

const lab = sqsLab(() => startElasticmq())
const KEYED = { order: 'key' } as const

const keyed = (id: string, key?: string, delayMs = 0) =>
  outgoing(id, key === undefined ? {} : { key }, delayMs)

/** One after the other, as there is room for all of them; each is settled as told. */
async function take(receiver: Receiver, count: number, settle: (delivery: Delivery) => Promise<unknown>) {
  const seen: string[] = []
  await expect
    .poll(async () => {
      for (const delivery of await receiver.receive(10, 1_000, never)) {
        seen.push(`${delivery.message.id} ${delivery.attempt}`)
        await settle(delivery)
      }
      return seen.length
    }, FACT)
    .toBe(count)
  return seen
}

const ack = (receiver: Receiver) => (delivery: Delivery) =>
  receiver.settle([{ token: delivery.token, verdict: { kind: 'ack' } }])

async function setUp(rest: { dedupWindowMs?: number } = {}) {
  const driver = lab.driver()
  const spec = await lab.declared(driver, { ...KEYED, ...rest })
  return {
    driver,
    spec,
    sender: await driver.openSender(spec, never),
    receiver: await lab.receiver(driver, spec),
  }
}

describe('messages of one key', () => {
  test('wait for its retry, and no other key does; none of them is counted meanwhile', async () => {
    const { driver, spec, sender, receiver } = await setUp()
    await sender.send(
      [keyed('a1', 'a'), keyed('a2', 'a'), keyed('a3', 'a'), keyed('b1', 'b'), keyed('free')],
      never,
    )
    const seen: string[] = []
    const other = await lab.receiver(driver, spec)
    const retriedAt: number[] = []
    const settle = (from: Receiver) => async (delivery: Delivery) => {
      seen.push(`${delivery.message.id} ${delivery.attempt} ${delivery.deliveries}`)
      const again = delivery.message.id === 'a1' && (delivery.attempt ?? 0) < 3
      if (delivery.message.id === 'a1') retriedAt.push(Date.now())
      const verdict = again
        ? ({ kind: 'retry', delayMs: 1_000, headers: {} } as const)
        : ({ kind: 'ack' } as const)
      await from.settle([{ token: delivery.token, verdict }])
    }
    await expect
      .poll(async () => {
        await Promise.all(
          [receiver, other].map(async (from) => {
            for (const delivery of await from.receive(10, 200, never)) await settle(from)(delivery)
          }),
        )
        return seen.length
      }, FACT)
      .toBe(7)
    expect(seen.filter((each) => each.startsWith('a'))).toEqual([
      'a1 1 1',
      'a1 2 2',
      'a1 3 3',
      'a2 1 1',
      'a3 1 1',
    ])
    expect(seen.indexOf('b1 1 1')).toBeLessThan(seen.indexOf('a1 2 2'))
    expect(seen.indexOf('free 1 1')).toBeLessThan(seen.indexOf('a1 2 2'))
    expect((retriedAt[1] ?? 0) - (retriedAt[0] ?? 0)).toBeGreaterThanOrEqual(1_000)
  })

  test('are in order when many sends are under way at once', async () => {
    const { sender, receiver } = await setUp()
    const batches = Array.from({ length: 20 }, (_, at) =>
      Array.from({ length: 10 }, (__, n) => keyed(`${n % 3}-${at * 10 + n}`, `key ${n % 3}`)),
    )
    await Promise.all(batches.map((batch) => sender.send(batch, never)))
    const seen = await take(receiver, 200, ack(receiver))
    for (const key of ['0', '1', '2']) {
      const numbers = seen
        .filter((id) => id.startsWith(`${key}-`))
        .map((id) => Number.parseInt(id.slice(2), 10))
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
    }
  })

  test('that are given back keep their turn, and it costs this process no attempt', async () => {
    const { sender, receiver } = await setUp()
    await sender.send([keyed('a1', 'a'), keyed('a2', 'a')], never)
    let given = 0
    const seen = await take(receiver, 4, async ({ token, message }) => {
      const verdict =
        message.id === 'a1' && given++ < 2 ? ({ kind: 'release' } as const) : ({ kind: 'ack' } as const)
      await receiver.settle([{ token, verdict }])
    })
    expect(seen).toEqual(['a1 1', 'a1 1', 'a1 1', 'a2 1'])
  })

  test('that another client holds several of, and shows again in any order, come again in theirs', async () => {
    const { spec, sender, receiver } = await setUp()
    await sender.send([keyed('a1', 'a'), keyed('a2', 'a'), keyed('a3', 'a')], never)
    const { Messages = [] } = await lab.raw.send(
      new ReceiveMessageCommand({
        QueueUrl: await lab.urlOf(`${spec.name}.fifo`),
        MaxNumberOfMessages: 10,
        VisibilityTimeout: 1,
      }),
    )
    expect(Messages).toHaveLength(3)
    expect(await take(receiver, 3, ack(receiver))).toEqual(['a1 2', 'a2 2', 'a3 2'])
  })

  test('are not held up by one that is delayed, which takes its turn when it is due', async () => {
    const { sender, receiver } = await setUp()
    const sentAt = Date.now()
    await sender.send([keyed('later', 'a', 2_000), keyed('a1', 'a')], never)
    const dueAt: number[] = []
    const seen = await take(receiver, 2, async (delivery) => {
      if (delivery.message.id === 'later') dueAt.push(Date.now())
      expect(delivery.message.key).toBe('a')
      await ack(receiver)(delivery)
    })
    expect(seen).toEqual(['a1 1', 'later 1'])
    expect((dueAt[0] ?? 0) - sentAt).toBeGreaterThanOrEqual(1_995)
  })

  test('keep it through the dead-letter queue and back', async () => {
    const { driver, spec, sender, receiver } = await setUp()
    await sender.send([keyed('a1', 'a')], never)
    const deadLetter = spec.deadLetter ?? ''
    await take(receiver, 1, ({ token }) =>
      receiver.settle([{ token, verdict: { kind: 'move', to: deadLetter, headers: {} } }]),
    )
    const dead = await lab.receiver(driver, { ...spec, order: 'none', name: deadLetter, role: 'dead-letter' })
    // Nobody told this driver what kind of queue it moves to.
    await take(dead, 1, ({ token }) =>
      dead.settle([{ token, verdict: { kind: 'move', to: spec.name, headers: {} } }]),
    )
    const [delivery] = await receiver.receive(1, 5_000, never)
    expect(delivery?.message).toMatchObject({ id: 'a1', key: 'a' })
    expect(delivery?.native).toMatchObject({ Attributes: { MessageGroupId: 'a' } })
  })

  test('of a foreign client are those of its message group', async () => {
    const { spec, receiver } = await setUp()
    const QueueUrl = await lab.urlOf(`${spec.name}.fifo`)
    await lab.raw.send(new SendMessageCommand({ QueueUrl, MessageBody: '1', MessageGroupId: 'g' }))
    const [delivery] = await receiver.receive(1, 5_000, never)
    expect(delivery?.message.key).toBe('g')
  })

  test.each([['ä'], ['k'.repeat(200)], ['with a space']])('may be any text: %s', async (key) => {
    const { sender, receiver } = await setUp()
    expect(await sender.send([keyed('a1', key), keyed('a2', key)], never)).toEqual([])
    const [first] = await receiver.receive(10, 5_000, never)
    expect(first?.message).toMatchObject({ id: 'a1', key })
    expect(await receiver.receive(10, 300, never)).toEqual([])
  })
})

describe('the same id twice', () => {
  test('is two messages where no window was asked for', async () => {
    const { sender, receiver } = await setUp()
    await sender.send([keyed('same', 'a')], never)
    await sender.send([keyed('same', 'a')], never)
    expect(await take(receiver, 2, ack(receiver))).toEqual(['same 1', 'same 1'])
  })

  test('is one where it was', async () => {
    const { sender, receiver } = await setUp({ dedupWindowMs: 300_000 })
    await sender.send([keyed('same', 'a')], never)
    await sender.send([keyed('same', 'b'), keyed('last', 'a')], never)
    expect(await take(receiver, 2, ack(receiver))).toEqual(['same 1', 'last 1'])
  })
})

test.each([['that only drops duplicates', { dedupWindowMs: 300_000 }, 'ContentBasedDeduplication']])(
  'a queue %s is not one that is ordered by key',
  async (_, rest, field) => {
    const driver = lab.driver()
    const spec = await lab.declared(driver, rest)
    const other = { ...spec, ...KEYED, dedupWindowMs: 0 }
    await expect(driver.admin.declare(other, never)).rejects.toMatchObject({ code: 'DRIFT' })
    expect(await driver.admin.verify(other, never)).toContainEqual(expect.objectContaining({ field }))
  },
)
