import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { cli } from '../test-support.js'
import { connect } from './connect.js'
import { queueOf, readTopologyFile } from './topology-file.js'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'msgloop-topology-'))
})
afterAll(() => rm(folder, { recursive: true }))

async function written(name: string, content: unknown): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

const WANTED = {
  queues: { orders: { lease: '1m', deadLetterRetention: '30d', maxReplays: 5 }, mails: {} },
  topics: { events: { subscriptions: { mail: { patterns: ['order.*'] } } } },
}

test('a JSON file is read as definitions', async () => {
  const definition = await readTopologyFile(await written('good.json', WANTED))
  expect(definition.queues).toMatchObject([
    { name: 'orders', leaseMs: 60_000, maxReplays: 5 },
    { name: 'mails' },
  ])
  expect(definition.topics).toEqual([{ topic: 'events', subscriptions: { mail: { patterns: ['order.*'] } } }])
})

test('a module may export the same, as its default or by name', async () => {
  const named = await written('named.mjs', `export const queues = { orders: { lease: '1m' } }`)
  expect((await readTopologyFile(named)).queues).toMatchObject([{ name: 'orders', leaseMs: 60_000 }])
  const whole = await written('whole.mjs', `export default { queues: ['orders', 'mails'] }`)
  expect(await readTopologyFile(whole)).toEqual({ queues: ['orders', 'mails'] })
})

test('what it defines is found by name, subscriptions too', async () => {
  const definition = await readTopologyFile(await written('found.json', WANTED))
  const broker = await connect('memory:')
  expect(queueOf(broker, definition, 'mails').name).toBe('mails')
  expect(queueOf(broker, definition, 'events.mail').name).toBe('events.mail')
  expect(() => queueOf(broker, definition, 'other')).toThrow(/no queue or subscription "other"/)
  await broker.close()
})

test.each([
  ['not JSON', '{"queues":', /bad\.json: .*JSON/],
  ['an unknown part', { queue: {} }, /queue: there is no such option/],
  [
    'an unknown option',
    { queues: { orders: { leese: '1m' } } },
    /queues\.orders\.leese: there is no such option/,
  ],
  ['a wrong type', { queues: { orders: { lanes: 'yes' } } }, /queues\.orders\.lanes: .*boolean/],
  ['a bad duration', { queues: { orders: { lease: 'soon' } } }, /"orders": option "lease"/],
  ['a bad name', { queues: { 'a b': {} } }, /"a b" is not a queue name/],
  [
    'an unknown option of a subscription',
    { topics: { events: { subscriptions: { mail: { pattern: ['#'] } } } } },
    /topics\.events\.subscriptions\.mail\.pattern: there is no such option/,
  ],
])('%s is told with the place in the file', async (_, content, message) => {
  const path = await written('bad.json', content)
  await expect(readTopologyFile(path)).rejects.toMatchObject({
    exitCode: 2,
    message: expect.stringMatching(message),
  })
})

test('plan and apply on the command line', async () => {
  const file = await written('cli.json', WANTED)
  const plan = await cli(['topology', 'plan', '--file', file])
  expect(plan).toMatchObject({ exitCode: 0, stderr: '' })
  expect(plan.stdout).toMatch(/\+ dead-letter queue orders\.dlq\n .*"orders\.dlq" is missing\n/)
  expect(plan.stdout).toMatch(/7 to create, 0 as they are, 0 differ\n$/)
  const applied = await cli(['topology', 'apply', '--file', file, '--json'])
  const { broker, objects } = JSON.parse(applied.stdout)
  expect({ broker, first: objects[0], count: objects.length }).toMatchObject({
    broker: 'memory',
    first: { action: 'create', kind: 'dead-letter queue', name: 'orders.dlq' },
    count: 7,
  })
  const verified = await cli(['topology', 'verify', '--file', file])
  expect(verified.exitCode).toBe(1)
  expect(verified.stdout).toContain('queue "orders" is missing\n')
  expect(await cli(['topology', 'verify', '--file', join(folder, 'none.json')])).toMatchObject({
    exitCode: 2,
  })
})
