import type { Broker } from '@msgloop/core'
import { defineQueue, describeDrift } from '@msgloop/core'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { connect } from './connect.js'

let broker: Broker
beforeEach(async () => {
  broker = await connect('memory:')
})
afterEach(() => broker.close())

const everything = {
  queues: ['orders', defineQueue('mails', { deadLetter: 'orders.dlq' })],
  topics: [{ topic: 'events', subscriptions: { mail: { patterns: ['order.*'] }, audit: {} } }],
}

test('a plan lists every object once, after what it needs, and creates nothing', async () => {
  const { objects } = await broker.topology.plan(everything)
  expect(objects.map(({ action, kind, name }) => `${action} ${kind} ${name}`)).toEqual([
    'create dead-letter queue orders.dlq',
    'create queue orders',
    'create queue mails',
    'create topic events',
    'create dead-letter queue events.mail.dlq',
    'create subscription events.mail',
    'create dead-letter queue events.audit.dlq',
    'create subscription events.audit',
  ])
  expect(await broker.topology.plan(everything)).toMatchObject({ objects })
})

test('applying creates what is missing, and then there is nothing more to do', async () => {
  await broker.topology.apply({ queues: ['orders'] })
  const plan = await broker.topology.apply(everything)
  expect(plan.objects.slice(0, 3).map(({ action }) => action)).toEqual(['keep', 'keep', 'create'])
  expect(await broker.topology.verify(everything)).toEqual([])
})

test('when anything differs nothing is created, and the error says which field', async () => {
  const wanted = { queues: ['new', defineQueue('old', { lease: '1m' })] }
  await broker.topology.apply({ queues: ['old'] })
  await expect(broker.topology.apply(wanted)).rejects.toMatchObject({
    code: 'DRIFT',
    message: expect.stringContaining('queue "old": leaseMs is 30000, not 60000'),
  })
  const said = (await broker.topology.verify(wanted)).map(describeDrift)
  expect(said).toContain('queue "new" is missing')
})

test.each([
  ['an unknown part', { tables: [] }, /unknown option "tables"/],
  ['an unknown part of a topic', { topics: [{ topic: 'a', queues: [] }] }, /unknown option "queues"/],
  ['a bad name', { queues: ['a b'] }, /"a b" is not a queue name/],
  ['one name in two ways', { queues: ['a', defineQueue('a', { lease: '1s' })] }, /"a" is defined twice/],
])('%s is refused before any I/O', async (_, wanted, message) => {
  await expect(broker.topology.plan(wanted as never)).rejects.toMatchObject({
    code: 'INVALID',
    message: expect.stringMatching(message),
  })
})
