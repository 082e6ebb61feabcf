import assert from 'node:assert/strict'
import type { Delivery, Queue, QueueDefinition } from '@msgloop/core'
import type { QueueSpec } from '@msgloop/core/driver'
import type { Case } from '../case.js'
import type { CaseContext } from '../context.js'
import { refused, sameMembers } from '../expect.js'

const GOOD = ['good-0', 'good-1']
const BAD = ['looping', 'bad-0', 'bad-1']
/** Enough for good messages that are given back some times while they wait for their turn. */
const MAX_DELIVERIES = 10

interface Spoiled {
  readonly definition: QueueDefinition<unknown>
  readonly queue: Queue<unknown>
}

/**
 * A queue that holds good messages among two that nobody can decode and one handed over too often, and
 * whose dead-letter queue was deleted after its broker had seen it.
 */
async function spoil(t: CaseContext, topology: 'declare' | 'none'): Promise<Spoiled> {
  const definition = t.define<unknown>({ lease: '1s', maxDeliveries: MAX_DELIVERIES })
  const spec = await t.declare(definition)
  const queue = await t.open(definition, { topology })
  assert.deepEqual(await queue.receive(), [])
  const message = (id: string, body: string) => ({
    id,
    body: Buffer.from(body),
    contentType: 'application/json',
  })
  await t.sendRaw(spec, [message('looping', '0')])
  await handOverTooOften(t, spec)
  await t.sendRaw(spec, [
    message('good-0', '1'),
    message('bad-0', '{"cut": '),
    message('bad-1', 'NaN'),
    message('good-1', '2'),
  ])
  await queue.deadLetters.queue.delete()
  return { definition, queue }
}

async function handOverTooOften(t: CaseContext, spec: QueueSpec): Promise<void> {
  const driver = await t.driver()
  const options = { prefetch: 1, leaseMs: spec.leaseMs, consumer: 'crasher', onLost: () => {} }
  for (let time = 1; time <= MAX_DELIVERIES; time++) {
    const receiver = await driver.openReceiver(spec, options, t.signal)
    await t.until(
      `hand-over ${time}`,
      () => receiver.receive(1, 1_000, t.signal),
      ({ length }) => length > 0,
    )
    await receiver.close()
  }
}

/** Receives and acks until as many messages were shown as are good; resolves with their ids. */
async function shownBy(t: CaseContext, receive: () => Promise<Delivery<unknown>[]>): Promise<string[]> {
  const shown: string[] = []
  await t.until(
    'every good message',
    async () => {
      const batch = await receive()
      shown.push(...batch.map(({ id }) => id))
      await Promise.all(batch.map((delivery) => delivery.ack()))
      return shown.length
    },
    (length) => length >= GOOD.length,
  )
  return shown
}

/** What `receive` may not show, while it cannot be dead-lettered. */
export const receiveUnstorableCases: readonly Case[] = [
  {
    id: 'D2-receive-queue-gone',
    clauses: ['D2', 'M5', 'R9', 'L5'],
    name: 'a receive makes a dead-letter queue that is gone again: good messages are shown, the others are stored there',
    timeoutMs: 40_000,
    async run(t) {
      const { queue } = await spoil(t, 'declare')
      sameMembers('shown', await shownBy(t, () => queue.receive({ max: 10, wait: '1s' })), GOOD)
      await t.empty(queue)
      const entries = await t.dead(queue, BAD.length)
      assert.deepEqual(entries.map(({ id, reason }) => `${id} ${reason}`).sort(), [
        'bad-0 undecodable',
        'bad-1 undecodable',
        'looping crash-loop',
      ])
    },
  },
  {
    id: 'D2-receive-unstorable',
    clauses: ['D2', 'M5', 'R3'],
    name: 'a receive that may not make the dead-letter queue shows what is good, and gives the others back at once',
    timeoutMs: 40_000,
    async run(t) {
      const { definition, queue } = await spoil(t, 'none')
      const receive = (): Promise<Delivery<unknown>[]> =>
        queue.receive({ max: 10, wait: '1s' }).catch(async (error: unknown) => {
          // It came upon bad messages alone.
          await refused('receive', () => Promise.reject(error), 'NOT_FOUND')
          return []
        })
      sameMembers('shown', await shownBy(t, receive), GOOD)
      await refused('a receive of bad messages alone', () => queue.receive({ wait: '5s' }), 'NOT_FOUND')
      // That broker is still open: had it kept a message to itself, it would be missing here.
      const declaring = await t.open(definition)
      await t.empty(declaring, 2_000)
      const entries = await t.dead(declaring, BAD.length)
      sameMembers(
        'dead letters',
        entries.map(({ id }) => id),
        BAD,
      )
    },
  },
]
