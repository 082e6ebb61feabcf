import assert from 'node:assert/strict'
import type { Topic } from '@msgloop/core'
import type { Case } from '../case.js'
import type { CaseContext } from '../context.js'
import { refused, sameMembers } from '../expect.js'
import type { Runs } from '../runs.js'
import { pause } from '../wait.js'
import { needsTopics } from './needs.js'

/** What comes in this time came at all, or did not. */
const SETTLE_MS = 300

/** Publishes one message each under a, b and c, and waits for these. */
async function assertGets(
  t: CaseContext,
  topic: Topic<string>,
  { list }: Runs<string>,
  expected: readonly string[],
): Promise<void> {
  for (const subject of ['a', 'b', 'c']) await topic.publish(subject, subject)
  await t.count('messages', list, expected.length)
  await pause(SETTLE_MS)
  sameMembers(
    'subjects',
    list.map(({ body }) => body),
    expected,
  )
}

export const topicCases: readonly Case[] = [
  {
    id: 'P1-copies',
    clauses: ['P1'],
    name: 'each subscription gets its own copy of every message, once',
    skip: needsTopics,
    async run(t) {
      const topic = await t.topic<number>()
      const names = ['a', 'b', 'c']
      const runs = await Promise.all(names.map(async (name) => t.consume(await t.subscribe(topic, name))))
      const ids = await Promise.all(Array.from({ length: 50 }, (_, n) => topic.publish('n', n)))
      for (const each of runs) await t.count('messages', each.list, ids.length)
      await pause(SETTLE_MS)
      for (const each of runs) sameMembers('ids', each.ids(), ids)
      for (const run of runs.flatMap(({ list }) => list))
        assert.deepEqual([run.attempt, run.deliveries, run.message.subject], [1, 1, 'n'])
    },
  },
  {
    id: 'P1-compete',
    clauses: ['P1', 'R1'],
    name: 'consumers of one subscription compete, also in several processes: each message goes to one of them',
    skip: needsTopics,
    async run(t) {
      const definition = t.defineTopic<number>()
      const runs: Runs<number>[] = []
      for (let n = 0; n < 3; n++) {
        const topic = await t.openTopic(definition)
        runs.push(t.consume(await t.subscribe(topic), undefined, { concurrency: 2 }))
      }
      const topic = await t.openTopic(definition)
      const other = t.consume(await t.subscribe(topic, 'other'))
      const ids = await Promise.all(Array.from({ length: 60 }, (_, n) => topic.publish('n', n)))
      await t.count('messages of the other', other.list, ids.length)
      await t.until(
        'every message to be handled',
        () => runs.flatMap((each) => each.ids()),
        (seen) => seen.length >= ids.length,
      )
      await pause(SETTLE_MS)
      sameMembers(
        'ids',
        runs.flatMap((each) => each.ids()),
        ids,
      )
    },
  },
  {
    id: 'P1-durable',
    clauses: ['P1', 'R4'],
    name: 'a subscription outlives the process that made it, and keeps what comes while nobody consumes',
    skip: needsTopics,
    async run(t) {
      const definition = t.defineTopic<number>()
      const first = await t.openTopic(definition)
      await t.subscribe(first)
      await t.brokerOf(first).close()
      const publisher = await t.openTopic(definition)
      const ids = await Promise.all([1, 2, 3].map((n) => publisher.publish('n', n)))
      const runs = t.consume(t.subscription(await t.openTopic(definition)))
      await t.count('messages', runs.list, 3)
      sameMembers('ids', runs.ids(), ids)
    },
  },
  {
    id: 'P1-fifty',
    clauses: ['P1'],
    name: 'fifty subscriptions of one topic each get every message',
    timeoutMs: 90_000,
    skip: needsTopics,
    async run(t) {
      const topic = await t.topic<number>()
      const names = Array.from({ length: 50 }, (_, n) => `s${n}`)
      const subscriptions = []
      for (let at = 0; at < names.length; at += 10)
        subscriptions.push(
          ...(await Promise.all(names.slice(at, at + 10).map((name) => t.subscribe(topic, name)))),
        )
      const outcomes = await topic.publishBatch([1, 2, 3].map((body) => ({ subject: 'n', body })))
      const ids = outcomes.map(({ id }) => id)
      for (const subscription of subscriptions) {
        const seen: string[] = []
        while (seen.length < ids.length) {
          const deliveries = await subscription.receive({ max: 3, wait: '10s' })
          assert.ok(deliveries.length > 0, `${subscription.name} got ${seen.length} of ${ids.length}`)
          for (const delivery of deliveries) {
            seen.push(delivery.id)
            await delivery.ack()
          }
        }
        sameMembers(`ids in ${subscription.name}`, seen, ids)
      }
    },
  },
  {
    id: 'P3-late',
    clauses: ['P3'],
    name: 'a subscription receives what was published after it was created, and nothing from before',
    skip: needsTopics,
    async run(t) {
      const topic = await t.topic<number>()
      const early = t.consume(await t.subscribe(topic, 'early'))
      const before = await topic.publish('n', 1)
      await t.count('messages', early.list, 1)
      const late = await t.subscribe(topic, 'late')
      const after = await topic.publish('n', 2)
      const runs = t.consume(late)
      await t.count('messages of the late one', runs.list, 1)
      await t.count('messages of the early one', early.list, 2)
      await pause(SETTLE_MS)
      assert.deepEqual(runs.ids(), [after])
      sameMembers('ids of the early one', early.ids(), [before, after])
    },
  },
  {
    id: 'P3-nobody',
    clauses: ['P3', 'S1'],
    name: 'publishing with no subscription, or none that matches, succeeds',
    skip: needsTopics,
    async run(t) {
      const topic = await t.topic<number>()
      assert.equal(await topic.publish('n', 1, { id: 'm1' }), 'm1')
      const subscription = await t.subscribe(topic, 'other', { patterns: ['other.#'] })
      assert.equal(await topic.publish('n', 2, { id: 'm2' }), 'm2')
      await topic.publish('other', 3, { id: 'm3' })
      const runs = t.consume(subscription)
      await t.count('messages', runs.list, 1)
      assert.deepEqual(runs.ids(), ['m3'])
    },
  },
  {
    id: 'P3-together',
    clauses: ['P3', 'C2'],
    name: 'many processes create one topic and subscription at once, and again: it is one, and gets one copy',
    skip: needsTopics,
    async run(t) {
      const definition = t.defineTopic<number>()
      const topics = await Promise.all(Array.from({ length: 6 }, () => t.openTopic(definition)))
      const patterns = ['b.*', 'a.#']
      const subscriptions = topics.map((topic, n) =>
        t.subscription(topic, 'sub', { patterns: n % 2 === 0 ? patterns : [...patterns].reverse() }),
      )
      await Promise.all(subscriptions.map((each) => each.create()))
      const [topic] = topics
      const [subscription] = subscriptions
      assert.ok(topic && subscription)
      const id = await topic.publish('a', 1)
      await Promise.all(subscriptions.map((each) => each.create()))
      const runs = t.consume(subscription)
      await t.count('messages', runs.list, 1)
      await pause(SETTLE_MS)
      assert.deepEqual(runs.ids(), [id])
    },
  },
  {
    id: 'P3-recreated',
    clauses: ['P3', 'P4'],
    name: 'a subscription that is deleted gets nothing; created again, only what comes then; others do not notice',
    skip: needsTopics,
    async run(t) {
      const topic = await t.topic<number>()
      const other = t.consume(await t.subscribe(topic, 'other'))
      const subscription = await t.subscribe(topic)
      await topic.publish('n', 1, { id: 'm1' })
      await t.count('messages of the other', other.list, 1)
      await subscription.delete()
      await subscription.delete()
      await topic.publish('n', 2, { id: 'm2' })
      await subscription.create()
      await topic.publish('n', 3, { id: 'm3' })
      const runs = t.consume(subscription)
      await t.count('messages', runs.list, 1)
      await t.count('messages of the other', other.list, 3)
      await pause(SETTLE_MS)
      assert.deepEqual(runs.ids(), ['m3'])
      sameMembers('ids of the other', other.ids(), ['m1', 'm2', 'm3'])
    },
  },
  {
    id: 'P3-repatterned',
    clauses: ['P3', 'P2'],
    name: 'a subscription that is deleted and created with other patterns gets by those only',
    skip: needsTopics,
    async run(t) {
      const definition = t.defineTopic<string>()
      const old = await t.subscribe(await t.openTopic(definition), 'sub', { patterns: ['a', 'b'] })
      await old.delete()
      const topic = await t.openTopic(definition)
      const runs = t.consume(await t.subscribe(topic, 'sub', { patterns: ['b', 'c'] }))
      await assertGets(t, topic, runs, ['b', 'c'])
    },
  },
  {
    id: 'P3-drift',
    clauses: ['P3', 'C2'],
    name: 'other patterns are DRIFT, change nothing, and verify names the field; other options in one process are refused',
    skip: needsTopics,
    async run(t) {
      const definition = t.defineTopic<string>()
      const topic = await t.openTopic(definition)
      const subscription = await t.subscribe(topic, 'sub', { patterns: ['a', 'b'] })
      assert.equal(topic.subscription('sub'), subscription)
      assert.equal(topic.subscription('sub', { patterns: ['a', 'b'] }), subscription)
      await refused('another retry', () => topic.subscription('sub', { maxReplays: 7 }), 'INVALID')
      const other = t.subscription(await t.openTopic(definition), 'sub', { patterns: ['a', 'c'] })
      const error = await refused('other patterns', () => other.create(), 'DRIFT')
      assert.ok(error.message.includes(subscription.name), error.message)
      const drifts = await other.verify()
      assert.ok(drifts.length > 0, 'verify finds it')
      assert.ok(
        drifts.every(({ object, expected }) => object !== '' && expected !== ''),
        'with object and what was expected',
      )
      const runs = t.consume(subscription)
      await assertGets(t, topic, runs, ['a', 'b'])
    },
  },
  {
    id: 'P3-verify',
    clauses: ['P3', 'C2'],
    name: 'verify writes nothing and tells what is missing: topic, subscription, dead-letter queue',
    skip: needsTopics,
    async run(t) {
      const topic = await t.topic()
      const subscription = t.subscription(topic)
      assert.ok((await topic.verify()).length > 0, 'the topic is missing')
      assert.ok((await topic.verify()).length > 0, 'and verify does not create it')
      const missing = await subscription.verify()
      const objects = missing.filter(({ field }) => field === undefined).map(({ object }) => object)
      assert.ok(
        objects.some((object) => object.includes(`${subscription.name}.dlq`)),
        `the dead-letter queue is missing: ${objects}`,
      )
      await subscription.create()
      assert.deepEqual(await topic.verify(), [])
      assert.deepEqual(await subscription.verify(), [])
      const checked = await t.openTopic(topic.name, { topology: 'verify' })
      await t.subscription(checked).create()
      const absent = t.subscription(checked, 'no')
      await refused('a missing subscription', () => absent.create(), 'NOT_FOUND')
    },
  },
  {
    id: 'P3-topic-remade',
    clauses: ['P3', 'L5'],
    name: 'a topic that is deleted is made again by who publishes, and by who creates a subscription of it',
    skip: needsTopics,
    async run(t) {
      const definition = t.defineTopic<number>()
      const topic = await t.openTopic(definition)
      await topic.publish('n', 1)
      await (await t.openTopic(definition)).delete()
      await topic.publish('n', 2)
      const subscription = await t.subscribe(topic)
      const id = await topic.publish('n', 3)
      const runs = t.consume(subscription)
      await t.count('messages', runs.list, 1)
      assert.deepEqual(runs.ids(), [id])
      await runs.consumer.close()
      await subscription.delete()
      await topic.delete()
      await topic.delete()
      await subscription.create()
      const again = await topic.publish('n', 4)
      const [delivery] = await subscription.receive({ wait: '10s' })
      assert.equal(delivery?.id, again)
      await delivery?.ack()
    },
  },
  {
    id: 'P1-names',
    clauses: ['P1'],
    name: 'a topic and a queue of one name are two things, and a subscription is no queue',
    skip: needsTopics,
    async run(t) {
      const definition = t.define<string>()
      const queue = await t.open(definition)
      const broker = t.brokerOf(queue)
      const topic = broker.topic<string>(t.defineTopic({}, queue.name))
      const subscription = await t.subscribe(topic)
      await queue.send('to the queue')
      await topic.publish('n', 'to the topic')
      const runs = [t.consume(queue), t.consume(subscription)]
      for (const each of runs) await t.count('messages', each.list, 1)
      await pause(SETTLE_MS)
      assert.deepEqual(
        runs.map(({ list }) => list.map(({ body }) => body)),
        [['to the queue'], ['to the topic']],
      )
      await refused('the queue of a subscription', () => broker.queue(subscription.name), 'INVALID')
    },
  },
]
