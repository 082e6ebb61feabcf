import assert from 'node:assert/strict'
import { bytes, fixed, Reject } from '@msgloop/core'
import type { Case } from '../case.js'
import { refused, sameBytes, sameMembers, wrong } from '../expect.js'
import type { Numbered } from '../key-log.js'
import { KeyLog, keysNamed } from '../key-log.js'
import { randomBytes } from '../random.js'
import { numberSchema } from '../schema.js'
import { pause } from '../wait.js'
import { all, needsOrderByKey, needsTopics } from './needs.js'

export const topicMessageCases: readonly Case[] = [
  {
    id: 'P5-bytes',
    clauses: ['P5', 'M1', 'M2', 'M3'],
    name: 'bodies of all sizes arrive byte-identical over a topic, with headers and every field',
    timeoutMs: 60_000,
    skip: needsTopics,
    async run(t) {
      const topic = await t.topic<Uint8Array>({ codec: bytes() })
      const runs = t.consume(await t.subscribe(topic), undefined, { concurrency: 1 })
      const { bodyBytes, topicBodyBytes = bodyBytes } = t.capabilities.limits
      const bodies = [0, 1, 1_000, 100_000, Math.min(topicBodyBytes, 1_048_576)].map((size) =>
        randomBytes(t.random, size),
      )
      const headers = Object.fromEntries(Array.from({ length: 8 }, (_, n) => [`X-${n}`, 'ä€🎉'.repeat(20)]))
      const fields = {
        key: 'customer-7',
        type: 'order.created',
        schemaVersion: '2',
        correlationId: 'corr',
        causationId: 'cause',
        traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        tracestate: 'a=1',
      }
      for (const [n, body] of bodies.entries())
        await topic.publish(`size.n${n}`, body, { id: `m${n}`, headers, ttl: '1h', ...fields })
      await t.count('messages', runs.list, bodies.length)
      for (const [n, body] of bodies.entries()) {
        const message = runs.of(`m${n}`)[0]?.message
        assert.ok(message, `message ${n}`)
        sameBytes(`message ${n}`, message.body, body)
        assert.deepEqual({ ...message.headers }, headers)
        for (const [field, value] of Object.entries(fields))
          assert.equal(Reflect.get(message, field), value, field)
        assert.equal(message.subject, `size.n${n}`)
        assert.equal(message.contentType, 'application/octet-stream')
        assert.ok(message.timestamp && message.expiresAt, 'times')
      }
    },
  },
  {
    id: 'P5-limits',
    clauses: ['P5', 'M1', 'S4'],
    name: 'the largest body fits with the longest subject and all headers; a byte more is refused before I/O',
    timeoutMs: 60_000,
    skip: (capabilities, harness) =>
      needsTopics(capabilities, harness) ??
      (capabilities.limits.bodyBytes > 64 * 1024 * 1024
        ? `the limit is ${capabilities.limits.bodyBytes} bytes; too much for an ordinary run`
        : undefined),
    async run(t) {
      const { bodyBytes, headerBytes, topicBodyBytes = bodyBytes } = t.capabilities.limits
      const topic = await t.topic<Uint8Array>({ codec: bytes() })
      const subscription = await t.subscribe(topic)
      const body = new Uint8Array(topicBodyBytes).fill(0xfe)
      const headers = { a: 'x'.repeat(headerBytes - 1) }
      const subject = `${'s'.repeat(63)}.${'t'.repeat(63)}`
      const tooMuch = new Uint8Array(topicBodyBytes + 1)
      await refused('a byte more', () => topic.publish(subject, tooMuch), 'TOO_LARGE', 'rejected')
      await topic.publish(subject, body, { headers })
      const [delivery] = await subscription.receive({ wait: '30s' })
      assert.ok(delivery)
      sameBytes('the body', delivery.body, body)
      assert.deepEqual({ ...delivery.headers }, headers)
      assert.equal(delivery.subject, subject)
      await delivery.ack()
    },
  },
  {
    id: 'P5-batch',
    clauses: ['P5', 'S5'],
    name: 'publishBatch gives one outcome per item, in input order, and a bad item never fails its neighbours',
    skip: needsTopics,
    async run(t) {
      const topic = await t.topic<number>({ schema: numberSchema() })
      const runs = t.consume(await t.subscribe(topic))
      const outcomes = await topic.publishBatch([
        { subject: 'a', body: 1, id: 'm1' },
        { subject: 'a b', body: 2, id: 'm2' },
        { subject: 'a', body: wrong('three'), id: 'm3' },
        wrong(null),
        wrong({ subject: 'b', body: 5, id: 'm5', delay: '1s' }),
        { subject: 'c', body: 6, id: 'm6', headers: { tenant: 'a' } },
      ])
      assert.deepEqual(
        outcomes.map((outcome) => [outcome.ok, outcome.id, outcome.ok ? '' : outcome.error.code]),
        [
          [true, 'm1', ''],
          [false, 'm2', 'INVALID'],
          [false, 'm3', 'INVALID'],
          [false, undefined, 'INVALID'],
          [false, 'm5', 'INVALID'],
          [true, 'm6', ''],
        ],
      )
      await t.count('messages', runs.list, 2)
      await pause(200)
      sameMembers('ids', runs.ids(), ['m1', 'm6'])
    },
  },
  {
    id: 'P5-schema',
    clauses: ['P5', 'M5', 'S4'],
    name: 'the schema of a topic is checked when publishing, and before the handler of each subscription',
    skip: needsTopics,
    async run(t) {
      const definition = t.defineTopic<number>({ schema: numberSchema() })
      const strict = await t.openTopic(definition)
      await refused('a word', () => strict.publish('n', wrong('seven')), 'INVALID', 'rejected')
      const subscription = await t.subscribe(strict)
      const loose = await t.openTopic<unknown>(definition.name)
      await loose.publish('n', 'seven', { id: 'bad' })
      await loose.publish('n', 7, { id: 'good' })
      const runs = t.consume(subscription)
      const [entry] = await t.dead(subscription, 1)
      await t.count('handler runs', runs.list, 1)
      assert.deepEqual([entry?.id, entry?.reason, runs.ids()], ['bad', 'invalid', ['good']])
    },
  },
  {
    id: 'P5-by-hand',
    clauses: ['P5', 'R3', 'T8'],
    name: 'what a subscription receives by hand is acked, released, retried, extended and rejected as of a queue',
    skip: needsTopics,
    async run(t) {
      const topic = await t.topic<number>()
      const subscription = await t.subscribe(topic, 'sub')
      const other = t.consume(await t.subscribe(topic, 'other'))
      assert.deepEqual(await subscription.receive(), [])
      const take = async () => {
        const [delivery] = await subscription.receive({ wait: '10s' })
        assert.ok(delivery, 'a message comes')
        return delivery
      }
      const id = await topic.publish('n', 1)
      const first = await take()
      if (t.capabilities.lease === 'renewable') await first.extend('1m')
      await first.release()
      const second = await take()
      assert.equal(second.attempt, 1, 'a release costs no attempt')
      await second.retry({ delay: 0 })
      const third = await take()
      assert.deepEqual([third.id, third.attempt, third.subject], [id, 2, 'n'])
      await third.reject(new Reject('by hand'))
      const [entry] = await t.dead(subscription, 1)
      assert.equal(entry?.reason, 'rejected')
      const last = await topic.publish('n', 2)
      const fourth = await take()
      await fourth.ack()
      await t.empty(subscription)
      await t.count('messages of the other', other.list, 2)
      sameMembers('ids of the other', other.ids(), [id, last])
    },
  },
  {
    id: 'P5-lease',
    clauses: ['P5', 'R5'],
    name: 'the lease of a delivery from a subscription is renewed while the handler runs',
    exclusive: true,
    skip: needsTopics,
    async run(t) {
      const topic = await t.topic<number>()
      const subscription = await t.subscribe(topic, 'sub', { lease: '1s' })
      const runs = t.consume(subscription, () => pause(3_000))
      await topic.publish('n', 1)
      await t.count('handler runs', runs.list, 1)
      await t.until(
        'the handler to end',
        () => runs.list[0]?.endedAt,
        (endedAt) => endedAt !== undefined,
      )
      await runs.consumer.close()
      assert.equal(runs.list.length, 1)
      assert.equal(runs.list[0]?.message.signal.aborted, false)
      await t.empty(subscription)
    },
  },
  {
    id: 'P5-ttl',
    clauses: ['P5', 'W2'],
    name: 'an expired message reaches no handler of a subscription, and is a dead letter of each',
    skip: needsTopics,
    async run(t) {
      const topic = await t.topic<number>()
      const subscriptions = [await t.subscribe(topic, 'a'), await t.subscribe(topic, 'b')]
      const id = await topic.publish('n', 1, { ttl: 200 })
      await pause(300)
      for (const each of subscriptions) {
        const runs = t.consume(each)
        const [entry] = await t.dead(each, 1)
        assert.deepEqual([entry?.id, entry?.reason, runs.ids()], [id, 'expired', []])
      }
    },
  },
  {
    id: 'P5-abort',
    clauses: ['P5', 'S3'],
    name: 'a signal that aborts ends a publish with ABORTED; aborted before, nothing is published',
    skip: needsTopics,
    async run(t) {
      const topic = await t.topic<number>()
      const runs = t.consume(await t.subscribe(topic))
      const signal = AbortSignal.abort()
      await refused('a publish', () => topic.publish('n', 1, { signal }), 'ABORTED', 'rejected')
      const [outcome] = await topic.publishBatch([{ subject: 'n', body: 2 }], { signal })
      assert.equal(outcome?.ok === false && outcome.error.code, 'ABORTED')
      const id = await topic.publish('n', 3)
      await t.count('messages', runs.list, 1)
      assert.deepEqual(runs.ids(), [id])
    },
  },
  {
    id: 'P5-stats',
    clauses: ['P5', 'F3'],
    name: 'a subscription is counted and purged by itself',
    skip: needsTopics,
    async run(t) {
      const topic = await t.topic<number>()
      const [a, b] = [await t.subscribe(topic, 'a'), await t.subscribe(topic, 'b', { patterns: ['b'] })]
      for (const subject of ['a', 'a', 'b']) await topic.publish(subject, 1)
      if (t.capabilities.stats.includes('ready'))
        for (const [subscription, count] of [
          [a, 3],
          [b, 1],
        ] as const)
          await t.until(
            `${count} messages to be ready in ${subscription.name}`,
            () => subscription.stats(),
            ({ ready }) => ready === count,
          )
      const purged = await a.purge()
      if (purged !== undefined) assert.equal(purged, 3)
      await t.empty(a)
      const [delivery] = await b.receive({ wait: '10s' })
      assert.equal(delivery?.subject, 'b')
      await delivery?.ack()
    },
  },
  {
    id: 'P5-events',
    clauses: ['P5', 'F1'],
    name: 'the events of a published message carry its subject: sent by the topic, the rest by each subscription',
    skip: needsTopics,
    async run(t) {
      const topic = await t.topic<number>()
      const subscription = await t.subscribe(topic)
      const sent = t.events(topic.name)
      const events = t.events(subscription.name)
      const runs = t.consume(subscription)
      const id = await topic.publish('a.b', 1)
      await t.count('messages', runs.list, 1)
      await t.until(
        'the message to be acked',
        () => events.map(({ step }) => step),
        (steps) => steps.includes('acked'),
      )
      const told = [...sent, ...events].map(({ step, messageId, subject }) => [step, messageId, subject])
      assert.deepEqual(
        told,
        ['sent', 'received', 'started', 'acked'].map((step) => [step, id, 'a.b']),
      )
    },
  },
  {
    id: 'P5-order-by-key',
    clauses: ['P5', 'O2', 'P4'],
    name: 'order by key holds in each subscription that has it, whatever fails and is retried there, and holds up no other',
    timeoutMs: 60_000,
    skip: all(needsTopics, needsOrderByKey),
    async run(t) {
      const definition = t.defineTopic<Numbered>()
      const retry = fixed({ attempts: 4, delay: 100 })
      const logs = [new KeyLog(), new KeyLog()]
      for (const [n, log] of logs.entries()) {
        const handler = log.handler((body, nth) => {
          if ((body.n + n) % 4 === 0 && nth === 1) throw new Error('every fourth fails once')
        })
        for (let worker = 0; worker < 2; worker++) {
          const topic = await t.openTopic(definition)
          const subscription = await t.subscribe(topic, `key${n}`, { order: 'key', retry })
          t.consume(subscription, handler, { concurrency: 4 })
        }
      }
      const topic = await t.openTopic(definition)
      const plain = t.consume(await t.subscribe(topic, 'plain'))
      const items = Array.from({ length: 8 }, (_, n) =>
        keysNamed(10).map((key) => ({ subject: 'n', body: { key, n }, key })),
      ).flat()
      for (const outcome of await topic.publishBatch(items)) assert.ok(outcome.ok, 'it is published')
      await t.until(
        'all to be done',
        () => logs.map(({ completed }) => completed),
        (completed) => completed.every((count) => count === items.length),
      )
      for (const log of logs) log.assertInOrder()
      await t.count('messages without order', plain.list, items.length)
    },
  },
  {
    id: 'P5-order',
    clauses: ['P5', 'S8'],
    name: 'what one publisher publishes one after the other arrives in order in each subscription',
    skip: (capabilities, harness) => needsTopics(capabilities, harness) ?? harness.unordered,
    async run(t) {
      const topic = await t.topic<number>()
      const subscriptions = [await t.subscribe(topic, 'a'), await t.subscribe(topic, 'b')]
      const runs = subscriptions.map((each) => t.consume(each, undefined, { concurrency: 1 }))
      const bodies = Array.from({ length: 100 }, (_, n) => n)
      await Promise.all(bodies.map((n) => topic.publish('n', n)))
      for (const each of runs) {
        await t.count('messages', each.list, bodies.length)
        assert.deepEqual(
          each.list.map(({ body }) => body),
          bodies,
        )
      }
    },
  },
]
