import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { memory } from '@msgloop/adapter-memory'
import type { DeadLetter, DeadLetters } from '@msgloop/core'
import { createBroker, defineQueue, immediate, Reject } from '@msgloop/core'
import type { Driver } from '@msgloop/core/driver'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { Migration } from './index.js'

const EMULATED = [undefined, 'rabbitmq', 'sqs', 'nats', 'redis-streams'] as const
vi.setConfig({ maxConcurrency: 30 })

const PAIRS = EMULATED.flatMap((from) =>
  EMULATED.filter((to) => to !== from).map((to) => [from, to] as const),
)

let made = 0
const folders: string[] = []
const drivers: Driver[] = []

afterAll(async () => {
  await Promise.all(drivers.map((driver) => driver.close()))
  await Promise.all(folders.map((folder) => rm(folder, { recursive: true })))
})

async function stateFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'msgloop-migrate-'))
  folders.push(folder)
  return join(folder, 'state')
}

/** Two drivers of one named broker: one for the application, one for the migration. */
function open(emulate?: (typeof EMULATED)[number]): { application: Driver; mover: Driver } {
  const settings = { name: `migrate-${++made}`, ...(emulate && { emulate }) }
  const both = { application: memory(settings), mover: memory(settings) }
  drivers.push(both.application, both.mover)
  return both
}

async function entries<T>(deadLetters: DeadLetters<T>): Promise<DeadLetter<T>[]> {
  const list: DeadLetter<T>[] = []
  for await (const entry of deadLetters.list()) list.push(entry)
  return list
}

const orders = defineQueue<{ n: number }>('orders', { retry: immediate({ attempts: 5 }), lease: '2s' })

for (const [from, to] of PAIRS)
  test.concurrent(`from ${from ?? 'memory'} to ${to ?? 'memory'}, ready, delayed, retried and dead messages arrive as they are`, async () => {
    const state = await stateFolder()
    const source = open(from)
    const target = open(to)
    const before = createBroker(source.application).queue(orders)
    await before.sendBatch(
      Array.from({ length: 50 }, (_, n) => ({ body: { n }, headers: { tenant: `t${n}` } })),
    )
    const failing = await before.receive({ max: 2, wait: '1s' })
    await failing[0]?.retry({ error: new Error('not yet') })
    await failing[1]?.reject(new Reject('no such order'))
    const delayed = await before.send({ n: 99 }, { delay: '1s', id: 'delayed' })

    const migration = await Migration.open({ from: source.mover, to: target.mover, queues: [orders], state })
    const plan = await migration.plan()
    expect(plan.obstacles).toEqual([])
    expect(plan.queues.map(({ queue }) => queue)).toEqual(['orders', 'orders.dlq'])
    // The delayed one may be due by then.
    expect([49, 50]).toContain(plan.queues[0]?.seen.messages)
    expect(plan.queues[1]?.seen.messages).toBe(1)
    await migration.prepare()
    const progress = await migration.drain({ quiet: '4s' })
    expect(progress).toMatchObject({ moved: 51, leftBehind: 0, errors: 0 })
    const verdict = await migration.verify()
    expect(verdict).toMatchObject({ ok: true })
    expect(verdict.queues[0]).toMatchObject({ moved: 50, found: 50 })
    expect(verdict.queues[0]?.foundDigest).toBe(verdict.queues[0]?.movedDigest)
    await migration.cutOver()

    const after = createBroker(target.application).queue(orders)
    const [dead] = await entries(after.deadLetters)
    expect(dead).toMatchObject({ id: failing[1]?.id, reason: 'rejected', source: 'orders' })
    expect(dead?.error?.message).toBe('no such order')
    const seen = new Map<string, number>()
    while (seen.size < 50)
      for (const delivery of await after.receive({ max: 10, wait: '1s' })) {
        seen.set(delivery.id, delivery.attempt)
        if (delivery.body.n < 50) expect(delivery.headers).toEqual({ tenant: `t${delivery.body.n}` })
        await delivery.ack()
      }
    expect(seen.get(failing[0]?.id ?? '')).toBe(2)
    expect(seen.get(delayed)).toBe(1)
    expect(await after.receive({ max: 10 })).toEqual([])
  })

test.concurrent('what the target cannot take is named, and stays at the source', async () => {
  const state = await stateFolder()
  const source = open()
  const target = open('sqs')
  const before = createBroker(source.application).queue(orders.name)
  await before.send('x'.repeat(target.mover.capabilities.limits.bodyBytes + 1), { id: 'large' })
  await before.send('small')
  const migration = await Migration.open({ from: source.mover, to: target.mover, queues: [orders], state })
  const plan = await migration.plan()
  expect(Object.values(plan.queues[0]?.misfits ?? {})).toEqual([1])
  await migration.prepare()
  expect(await migration.drain({ quiet: '300ms' })).toMatchObject({ moved: 1, leftBehind: 1 })
  const verdict = await migration.verify()
  expect(verdict.ok).toBe(false)
  expect(verdict.queues[0]?.leftBehind).toEqual({ count: 1, ids: ['large'] })
  await expect(migration.cutOver()).rejects.toMatchObject({ code: 'INVALID' })
  expect((await before.receive()).map(({ id }) => id)).toEqual(['large'])
})

test.concurrent('lanes and the quarantine move too', async () => {
  const state = await stateFolder()
  const source = open('rabbitmq')
  const target = open('redis-streams')
  const jobs = defineQueue<string>('jobs', { lanes: true, maxReplays: 1, lease: '2s' })
  const before = createBroker(source.application).queue(jobs)
  for (let time = 0; time < 2; time++) {
    if (time === 0) await before.send('twice dead')
    const [delivery] = await before.receive({ wait: '1s' })
    await delivery?.reject(new Reject('no'))
    await before.deadLetters.replay()
  }
  await before.send('later', { priority: 'low' })
  await before.send('sooner', { priority: 'high' })
  expect(await entries(before.deadLetters.quarantine)).toHaveLength(1)
  const migration = await Migration.open({ from: source.mover, to: target.mover, queues: [jobs], state })
  await migration.prepare()
  expect(await migration.drain({ quiet: '300ms' })).toMatchObject({ moved: 3 })
  expect(await migration.verify()).toMatchObject({ ok: true })
  const after = createBroker(target.application).queue(jobs)
  expect((await after.receive({ wait: '1s' })).map(({ body }) => body)).toEqual(['sooner'])
  expect((await after.receive({ wait: '1s' })).map(({ body }) => body)).toEqual(['later'])
  expect((await entries(after.deadLetters.quarantine)).map((entry) => entry.body())).toEqual(['twice dead'])
})

test.concurrent('going back moves everything to the source again', async () => {
  const state = await stateFolder()
  const source = open()
  const target = open('nats')
  const before = createBroker(source.application).queue(orders)
  await before.sendBatch(Array.from({ length: 20 }, (_, n) => ({ body: { n }, id: `m${n}` })))
  const migration = await Migration.open({ from: source.mover, to: target.mover, queues: [orders], state })
  await migration.prepare()
  await migration.drain({ quiet: '300ms' })
  await createBroker(target.application).queue(orders).send({ n: 20 }, { id: 'm20' })
  expect(await migration.rollBack({ quiet: '300ms' })).toMatchObject({ moved: 21, leftBehind: 0 })
  expect(migration.phase).toBe('source')
  expect((await before.stats()).ready).toBe(21)
  expect((await createBroker(target.application).queue(orders).stats()).ready).toBe(0)
})

test.concurrent('verify finds what was lost, doubled and altered on purpose', async () => {
  const state = await stateFolder()
  const source = open()
  const target = open('redis-streams')
  const before = createBroker(source.application).queue(orders)
  await before.sendBatch(Array.from({ length: 10 }, (_, n) => ({ body: { n }, id: `m${n}` })))
  const migration = await Migration.open({ from: source.mover, to: target.mover, queues: [orders], state })
  await migration.prepare()
  await migration.drain({ quiet: '300ms' })
  expect(await migration.verify()).toMatchObject({ ok: true })
  const after = createBroker(target.application).queue(orders)
  const held = await after.receive({ max: 10, wait: '1s' })
  for (const delivery of held)
    if (delivery.id === 'm1' || delivery.id === 'm2') await delivery.ack()
    else await delivery.release()
  await after.send({ n: 22 }, { id: 'm2' })
  await after.send({ n: 3 }, { id: 'm3' })
  const verdict = await migration.verify({ consumed: () => false })
  expect(verdict.ok).toBe(false)
  expect(verdict.queues[0]).toMatchObject({
    lost: { count: 1, ids: ['m1'] },
    altered: { count: 1, ids: ['m2'] },
    duplicated: { count: 1, ids: ['m3'] },
  })
  expect(await migration.verify({ consumed: (id) => id === 'm1' })).toMatchObject({
    queues: [{ lost: { count: 0 } }, {}],
  })
})

test.concurrent('a drain that is aborted goes on where it was', async () => {
  const state = await stateFolder()
  const source = open()
  const target = open('rabbitmq')
  const before = createBroker(source.application).queue(orders)
  await before.sendBatch(Array.from({ length: 500 }, (_, n) => ({ body: { n } })))
  const migration = await Migration.open({ from: source.mover, to: target.mover, queues: [orders], state })
  await migration.prepare()
  const stop = new AbortController()
  const first = await migration.drain({
    rate: 200,
    signal: stop.signal,
    onProgress: ({ moved }) => {
      if (moved > 50) stop.abort()
    },
  })
  expect(first.moved).toBeLessThan(500)
  const again = await Migration.open({ from: source.mover, to: target.mover, queues: [orders], state })
  expect(again.phase).toBe('drain')
  const rest = await again.drain({ quiet: '300ms' })
  expect(first.moved + rest.moved).toBe(500)
  expect(await again.verify()).toMatchObject({ ok: true, queues: [{ moved: 500, found: 500 }, {}] })
})

describe('refused', () => {
  test.concurrent('two sides that are one broker', async () => {
    const state = await stateFolder()
    const { mover } = open()
    await expect(Migration.open({ from: mover, to: mover, queues: [orders], state })).rejects.toMatchObject({
      code: 'INVALID',
      message: expect.stringContaining('two brokers'),
    })
  })

  test.concurrent('a target that is not empty', async () => {
    const state = await stateFolder()
    const source = open()
    const target = open('sqs')
    await createBroker(target.application).queue(orders).send({ n: 1 })
    const migration = await Migration.open({ from: source.mover, to: target.mover, queues: [orders], state })
    const { obstacles } = await migration.plan()
    expect(obstacles).toContain('queue "orders" is not empty at the target: 1 messages')
    expect(obstacles).toContain('queue "orders" does not exist at the source')
    await expect(migration.prepare()).rejects.toMatchObject({ code: 'INVALID' })
  })

  test.concurrent('the folder of another migration, no queue, and a drain before prepare', async () => {
    const state = await stateFolder()
    const [source, target, third] = [open(), open('sqs'), open('nats')]
    const migration = await Migration.open({ from: source.mover, to: target.mover, queues: [orders], state })
    await expect(migration.drain()).rejects.toMatchObject({ code: 'INVALID' })
    await migration.prepare()
    await expect(
      Migration.open({ from: source.mover, to: third.mover, queues: [orders], state }),
    ).rejects.toMatchObject({ message: expect.stringContaining('another migration') })
    await expect(
      Migration.open({ from: source.mover, to: target.mover, queues: [], state: `${state}-2` }),
    ).rejects.toMatchObject({ code: 'INVALID' })
  })
})
