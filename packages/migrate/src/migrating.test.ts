import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memory } from '@msgloop/adapter-memory'
import type { Queue } from '@msgloop/core'
import { createBroker, defineQueue, defineTopic, fixed, memoryInbox } from '@msgloop/core'
import type { Driver } from '@msgloop/core/driver'
import { afterAll, expect, test } from 'vitest'
import { Migration, migrating } from './index.js'

let made = 0
const ends: (() => Promise<unknown>)[] = []
afterAll(async () => {
  for (const end of ends) await end()
})

interface Scene {
  readonly state: string
  readonly application: { readonly from: Driver; readonly to: Driver }
  readonly mover: { readonly from: Driver; readonly to: Driver }
}

async function scene(from: 'rabbitmq' | 'sqs' | 'nats', to: 'nats' | 'redis-streams'): Promise<Scene> {
  const folder = await mkdtemp(join(tmpdir(), 'msgloop-migrating-'))
  const [one, two] = [
    { name: `migrating-${++made}`, emulate: from },
    { name: `migrating-${++made}`, emulate: to },
  ] as const
  const mover = { from: memory(one), to: memory(two) }
  ends.push(async () => {
    await Promise.all([mover.from.close(), mover.to.close()])
    await rm(folder, { recursive: true })
  })
  return { state: join(folder, 'state'), application: { from: memory(one), to: memory(two) }, mover }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Sends until stopped; resolves with all ids. */
function produce(queue: Queue<{ n: number }>, keys = 0): () => Promise<string[]> {
  let on = true
  const all = (async () => {
    const ids: string[] = []
    for (let n = 0; on; n++) {
      ids.push(await queue.send({ n }, keys > 0 ? { key: `k${n % keys}` } : {}))
      await pause(1)
    }
    return ids
  })()
  return () => {
    on = false
    return all
  }
}

test('an application goes through every phase by the state folder alone; each message has its effect once', async () => {
  const { state, application, mover } = await scene('rabbitmq', 'nats')
  const orders = defineQueue<{ n: number }>('orders', {
    guarantee: 'exactly-once',
    retry: fixed({ attempts: 5, delay: 100 }),
  })
  const broker = migrating({
    from: createBroker(application.from),
    to: createBroker(application.to),
    follow: state,
  })
  const queue = broker.queue(orders)
  const effects: string[] = []
  queue.consume(
    ({ n }, { id, attempt }) => {
      if (n % 10 === 0 && attempt === 1) throw new Error('every tenth fails once')
      effects.push(id)
    },
    { inbox: memoryInbox(), concurrency: 8, onError: () => {} },
  )
  const stop = produce(queue)
  await pause(100)
  const migration = await Migration.open({ ...mover, queues: [orders], state })
  await migration.prepare()
  await expect.poll(() => broker.phase).toBe('mirror')
  await migration.drain({ quiet: '500ms', onTrouble: () => {} })
  expect(broker.phase).toBe('drain')
  await pause(100)
  await migration.cutOver()
  expect(broker.phase).toBe('target')
  await pause(100)
  const ids = await stop()
  await expect.poll(() => ids.filter((id) => !effects.includes(id)), { timeout: 5_000 }).toEqual([])
  expect(effects).toHaveLength(new Set(effects).size)
  expect((await createBroker(mover.from).queue('orders').stats()).ready).toBe(0)
  await broker.close()
})

test('order by key survives the move', async () => {
  const { state, application, mover } = await scene('nats', 'redis-streams')
  const ledger = defineQueue<{ n: number }>('ledger', {
    order: 'key',
    retry: fixed({ attempts: 5, delay: 20 }),
  })
  const broker = migrating({ from: createBroker(application.from), to: createBroker(application.to) })
  const queue = broker.queue(ledger)
  const last = new Map<string, number>()
  const broken: string[] = []
  let handled = 0
  queue.consume(
    ({ n }, { key = '', attempt }) => {
      if (n % 25 === 0 && attempt === 1) throw new Error('fails once')
      if (n <= (last.get(key) ?? -1)) broken.push(`${key}: ${n} after ${last.get(key)}`)
      last.set(key, n)
      handled++
    },
    { concurrency: 4, onError: () => {} },
  )
  const stop = produce(queue, 7)
  await pause(100)
  const migration = await Migration.open({ ...mover, queues: [ledger], state })
  await migration.prepare()
  await broker.enter('mirror')
  await broker.enter('drain')
  const bridge = new AbortController()
  const draining = migration.drain({ quiet: 0, signal: bridge.signal, onTrouble: () => {} })
  await pause(200)
  await broker.enter('target')
  const ids = await stop()
  await expect.poll(() => handled, { timeout: 5_000 }).toBe(ids.length)
  bridge.abort()
  await draining
  expect(broken).toEqual([])
  await broker.close()
})

test('a migration that is taken back ends with everything at the source', async () => {
  const { state, application, mover } = await scene('sqs', 'redis-streams')
  const jobs = defineQueue<{ n: number }>('jobs', { lease: '2s' })
  const broker = migrating({ from: createBroker(application.from), to: createBroker(application.to) })
  const queue = broker.queue(jobs)
  await queue.sendBatch(Array.from({ length: 20 }, (_, n) => ({ body: { n } })))
  const migration = await Migration.open({ ...mover, queues: [jobs], state })
  await migration.prepare()
  await broker.enter('drain')
  await migration.drain({ quiet: '300ms' })
  await queue.send({ n: 20 })
  await broker.enter('mirror')
  await migration.rollBack({ quiet: '300ms' })
  await broker.enter('source')
  await queue.send({ n: 21 })
  expect((await queue.stats()).ready).toBe(22)
  const seen = new Set<number>()
  while (seen.size < 22)
    for (const delivery of await queue.receive({ max: 10, wait: '2s' })) {
      seen.add(delivery.body.n)
      await delivery.ack()
    }
  expect(await queue.receive({ max: 10 })).toEqual([])
  await broker.close()
})

test('subscriptions are read on both sides, and none misses what is published after the switch', async () => {
  const { application } = await scene('rabbitmq', 'nats')
  const broker = migrating({ from: createBroker(application.from), to: createBroker(application.to) })
  const topic = broker.topic(defineTopic<number>('events'))
  const seen: number[] = []
  const subscription = topic.subscription('audit', { patterns: ['order.#'] })
  await subscription.create()
  const consumer = subscription.consume((n) => void seen.push(n))
  for (const phase of ['source', 'mirror', 'drain', 'target'] as const) {
    await broker.enter(phase)
    await topic.publish('order.created', seen.length)
    await expect.poll(() => seen.length).toBe(['source', 'mirror', 'drain', 'target'].indexOf(phase) + 1)
  }
  expect(seen).toEqual([0, 1, 2, 3])
  await consumer.close()
  await broker.close()
})

test('one slot is one slot, on two sides too', async () => {
  const { application } = await scene('nats', 'redis-streams')
  const [from, to] = [createBroker(application.from), createBroker(application.to)]
  const broker = migrating({ from, to, phase: 'mirror' })
  const jobs = defineQueue<number>('jobs')
  await from.queue(jobs).sendBatch(Array.from({ length: 10 }, (_, body) => ({ body })))
  await to.queue(jobs).sendBatch(Array.from({ length: 10 }, (_, body) => ({ body })))
  let [running, most, handled] = [0, 0, 0]
  broker.queue(jobs).consume(
    async () => {
      most = Math.max(most, ++running)
      await pause(5)
      running--
      handled++
    },
    { concurrency: 1 },
  )
  await expect.poll(() => handled).toBe(20)
  expect(most).toBe(1)
  await broker.close()
})

test('an unknown phase, and one broker given twice, are refused', () => {
  const broker = createBroker(memory())
  expect(() => migrating({ from: broker, to: broker })).toThrow(/one broker/)
  // @ts-expect-error: not a phase
  expect(() => migrating({ from: broker, to: createBroker(memory()), phase: 'half' })).toThrow(/not a phase/)
})
