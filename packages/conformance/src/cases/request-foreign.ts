import assert from 'node:assert/strict'
import { defineQueue, immediate, memoryInbox } from '@msgloop/core'
import type { Driver, ReplyChannel, WireMessage } from '@msgloop/core/driver'
import { DriverError } from '@msgloop/core/driver'
import type { Case } from '../case.js'
import type { CaseContext } from '../context.js'
import { decorate } from '../decorate.js'
import { refused } from '../expect.js'
import { HELD_ANSWER, heldQueue } from '../hold-message.js'
import { deferred, pause } from '../wait.js'
import { all, needsDisconnect, needsForeign, needsProcess, needsReplies } from './needs.js'

interface Inbox {
  readonly channel: ReplyChannel
  readonly messages: readonly WireMessage[]
}

/** A reply channel without the core. */
async function openInbox(t: CaseContext): Promise<Inbox> {
  const { replies } = await t.driver()
  assert.ok(replies, 'the driver has replies, as its capabilities say')
  const messages: WireMessage[] = []
  const onReply = (message: WireMessage): void => void messages.push(message)
  const channel = await replies.open({ onReply, onLost() {} }, t.signal)
  return { channel, messages }
}

const text = (message: WireMessage | undefined): string => Buffer.from(message?.body ?? []).toString()

/** A request that another process has in its handler. */
async function heldRequest(t: CaseContext) {
  const definition = heldQueue(t.name())
  const queue = await t.open(definition)
  await queue.receive()
  const child = await t.harness.spawnConsumer?.(queue.name)
  assert.ok(child)
  const answer = queue.request({}, { id: 'r1', timeout: '25s' })
  answer.catch(() => {})
  assert.equal(await t.settled('the other process to hold it', child.started), 'r1')
  return { definition, child, answer }
}

export const requestForeignCases: readonly Case[] = [
  {
    id: 'Q1-foreign',
    clauses: ['Q3', 'Q1', 'M4'],
    name: 'a request of a foreign client is answered where it says, by its own correlation id, in the codec of the queue',
    skip: all(needsReplies, needsForeign),
    async run(t) {
      const queue = await t.queue<{ n: number }>()
      await queue.receive()
      const inbox = await openInbox(t)
      t.consume(queue, ({ n }) => ({ twice: 2 * n }))
      const { address: replyTo } = inbox.channel
      await t.harness.sendForeign?.(queue.name, {
        body: Buffer.from('{"n":21}'),
        contentType: 'application/json',
        correlationId: 'theirs',
        replyTo,
      })
      await t.count('answers', inbox.messages, 1)
      const [answer] = inbox.messages
      assert.equal(text(answer), '{"twice":42}')
      assert.equal(answer?.contentType, 'application/json')
      assert.equal(answer?.correlationId, 'theirs')
    },
  },
  {
    id: 'Q1-foreign-fails',
    clauses: ['Q3', 'Q1', 'M4'],
    name: 'a foreign client reads a failure as JSON: the name and the message of the error',
    skip: all(needsReplies, needsForeign),
    async run(t) {
      const queue = await t.queue({ retry: immediate({ attempts: 2 }) })
      await queue.receive()
      const inbox = await openInbox(t)
      t.consume(queue, () => {
        throw new RangeError('too far')
      })
      const { address: replyTo } = inbox.channel
      await t.harness.sendForeign?.(queue.name, { body: Buffer.from('{}'), replyTo })
      await t.count('answers', inbox.messages, 1)
      assert.deepEqual(JSON.parse(text(inbox.messages[0])), { name: 'RangeError', message: 'too far' })
    },
  },
  {
    id: 'Q1-once',
    clauses: ['Q1', 'D4'],
    name: 'a request is answered once: not again by who consumes its dead letter',
    skip: needsReplies,
    async run(t) {
      const definition = t.define<string>({ retry: immediate({ attempts: 1 }) })
      const spec = await t.declare(definition)
      const inbox = await openInbox(t)
      const { address: replyTo } = inbox.channel
      await t.sendRaw(spec, [{ id: 'r1', body: Buffer.from('1'), replyTo }])
      const queue = await t.open(definition)
      t.consume(queue, () => Promise.reject(new Error('no')))
      await t.count('answers', inbox.messages, 1)
      assert.equal(inbox.messages[0]?.causationId, 'r1')
      const dead = t.consume(queue.deadLetters.queue, () => 'from the dead')
      await t.count('entries consumed', dead.list, 1)
      await dead.consumer.close()
      await pause(300)
      assert.equal(inbox.messages.length, 1, 'answers')
    },
  },
  {
    id: 'Q1-exactly-once',
    clauses: ['Q1', 'X3'],
    name: 'with an inbox the handler answers when it commits; a duplicate, whose answer nobody knows, is not answered',
    skip: needsReplies,
    async run(t) {
      const definition = t.define<number>({ guarantee: 'exactly-once' })
      const queue = await t.open(definition)
      const seen: string[] = []
      const consumer = queue.consume(
        (n, { id }) => {
          seen.push(id)
          return n + 1
        },
        { inbox: memoryInbox() },
      )
      assert.equal(await queue.request(1, { id: 'r1' }), 2)
      const inbox = await openInbox(t)
      const { address: replyTo } = inbox.channel
      const spec = await t.declare(defineQueue(definition.name))
      for (const id of ['r1', 'r2']) await t.sendRaw(spec, [{ id, body: Buffer.from('7'), replyTo }])
      await t.count('answers', inbox.messages, 1)
      await consumer.close()
      assert.deepEqual(
        inbox.messages.map((message) => [message.causationId, text(message)]),
        [['r2', '8']],
      )
      assert.deepEqual(seen, ['r1', 'r2'])
    },
  },
  {
    id: 'Q1-at-most-once',
    clauses: ['Q1', 'X1'],
    name: 'a handler that runs after the ack answers when it has ended, once: with what it returned, or its failure',
    skip: needsReplies,
    async run(t) {
      const queue = await t.queue<string>({ guarantee: 'at-most-once' })
      const gate = deferred()
      const runs = t.consume(queue, async (body) => {
        await gate.promise
        if (body === 'bad') throw new RangeError('too far')
        return `answer to ${body}`
      })
      const good = queue.request('good')
      const bad = refused('the request', () => queue.request('bad'), 'REMOTE')
      await t.count('handler runs', runs.list, 2)
      gate.resolve()
      assert.equal(await good, 'answer to good')
      assert.match((await bad).message, /RangeError: too far/)
      await runs.consumer.close()
      const by = queue.request('by hand')
      const [delivery] = await queue.receive({ wait: '10s' })
      await delivery?.ack('answer')
      assert.equal(await by, 'answer')
    },
  },
  {
    id: 'Q1-answer-fails',
    clauses: ['Q1', 'Q2'],
    name: 'answers that could not be sent are tried again, and those that came meanwhile go together',
    skip: needsReplies,
    async run(t) {
      const definition = t.define<number>()
      const failing = deferred()
      const sizes: number[] = []
      const wrap = (driver: Driver): Driver =>
        decorate(driver, {
          replies: (inner) => ({
            async send(batch, signal) {
              sizes.push(batch.length)
              if (sizes.length > 1) return await inner.send(batch, signal)
              await failing.promise
              throw new DriverError('CONNECTION_LOST', 'cut', { retryable: true })
            },
          }),
        })
      const runs = t.consume(await t.open(definition, { wrap }), (n) => n)
      const queue = await t.open(definition)
      const answers = Array.from({ length: 50 }, (_, n) => queue.request(n))
      await t.until(
        'all requests to be handled',
        () => runs.list.filter(({ endedAt }) => endedAt !== undefined).length,
        (ended) => ended === answers.length,
      )
      failing.resolve()
      assert.deepEqual(
        await Promise.all(answers),
        answers.map((_, n) => n),
      )
      const alone = sizes.filter((size) => size === 1).length
      assert.ok(sizes.length < answers.length / 2, `${sizes.length} batches for 50 answers, ${alone} of one`)
    },
  },
  {
    id: 'Q2-channel',
    clauses: ['Q2', 'C1'],
    name: 'channels of a driver have addresses of their own, get what is sent there whole, and may be gone',
    skip: needsReplies,
    async run(t) {
      const [a, b] = [await openInbox(t), await openInbox(t)]
      assert.match(a.channel.address, /^[\x21-\x7e]{1,200}$/)
      assert.notEqual(a.channel.address, b.channel.address)
      const { replies } = await t.driver()
      const message = {
        id: 'a1',
        body: Buffer.from([0, 0xff, 0x80]),
        headers: { 'msgloop-failed': 'true' },
        timestamp: 1_700_000_000_000,
        contentType: 'application/x-any',
        correlationId: 'corr',
        causationId: 'r1',
      }
      const batch = [a, b].map(({ channel }, n) => ({
        address: channel.address,
        message: { ...message, id: `a${n}` },
      }))
      assert.deepEqual(await replies?.send(batch, t.signal), [])
      for (const [n, { messages }] of [a, b].entries()) {
        await t.count('answers', messages, 1)
        const [seen] = messages
        assert.deepEqual(
          [seen?.correlationId, seen?.causationId, seen?.contentType],
          ['corr', 'r1', 'application/x-any'],
        )
        assert.equal(seen?.headers['msgloop-failed'], 'true')
        assert.equal(seen?.id, `a${n}`)
        assert.deepEqual([...(seen?.body ?? [])], [0, 0xff, 0x80])
      }
      await a.channel.close()
      assert.deepEqual(await replies?.send(batch, t.signal), [], 'a channel that is gone is no failure')
      await t.count('answers', b.messages, 2)
      assert.equal(a.messages.length, 1)
    },
  },
  {
    id: 'Q2-many-answers',
    clauses: ['Q2', 'C1'],
    name: 'a batch of answers arrives whole: each once, to its own channel',
    skip: needsReplies,
    async run(t) {
      const inboxes = [await openInbox(t), await openInbox(t)]
      const { replies } = await t.driver()
      const count = Math.min(t.capabilities.limits.sendBatch, 100)
      const batch = Array.from({ length: count }, (_, n) => ({
        address: inboxes[n % 2]?.channel.address ?? '',
        message: {
          id: `a${n}`,
          body: Buffer.from(`${n}`),
          headers: {},
          timestamp: Date.now(),
          causationId: `r${n}`,
        },
      }))
      assert.deepEqual(await replies?.send(batch, t.signal), [])
      for (const [side, { messages }] of inboxes.entries()) {
        const mine = batch.filter((_, n) => n % 2 === side).map(({ message }) => message.causationId)
        await t.count('answers', messages, mine.length)
        assert.deepEqual(messages.map(({ causationId }) => causationId).sort(), mine.sort())
      }
    },
  },
  {
    id: 'Q1-requester-cut',
    clauses: ['Q1', 'L4'],
    name: 'when the requester loses its connection, what was in flight times out, and new requests are answered',
    skip: all(needsReplies, needsDisconnect),
    async run(t) {
      const definition = t.define<string>()
      const gate = deferred()
      const runs = t.consume(await t.open(definition), async (body) => {
        if (body === 'in flight') await gate.promise
        return body
      })
      const queue = await t.open(definition)
      // The handler may have it before its sender is told: cut then, the send itself ends as unknown.
      const lost = refused(
        'in flight',
        () => queue.request('in flight', { timeout: '4s', expires: false }),
        ['TIMEOUT', 'CONNECTION_LOST'],
        'unknown',
      )
      lost.catch(() => {})
      await t.count('handler runs', runs.list, 1)
      await t.disconnect(t.brokerOf(queue))
      // A client may notice only when it writes; then nothing is known of what it wrote.
      await t.until(
        'a new request to be answered',
        () => queue.request('new', { timeout: '4s' }).catch((error: unknown) => error),
        (result) => result === 'new',
      )
      await lost
      gate.resolve()
      assert.equal(await queue.request('after'), 'after')
      assert.equal(runs.list.filter(({ body }) => body === 'in flight').length, 1, 'it is not sent again')
    },
  },
  {
    id: 'Q1-responder-cut',
    clauses: ['Q1', 'R6'],
    name: 'when the connection of the consumer is cut, the request is handled again and answered',
    skip: all(needsReplies, needsDisconnect),
    async run(t) {
      const definition = t.define<string>({ lease: '1s' })
      const responder = await t.open(definition)
      t.consume(responder, async (body, _, nth) => {
        if (nth === 1) await t.disconnect(t.brokerOf(responder))
        return body
      })
      const queue = await t.open(definition)
      assert.equal(await queue.request('cut', { timeout: '18s' }), 'cut')
      // Where acks are not answered, it may have been answered before it comes again; then, too, it ends.
      for (const again of await queue.receive({ wait: 500 })) await again.ack()
      await t.empty(queue)
    },
  },
  {
    id: 'Q1-process',
    clauses: ['Q1', 'L9'],
    name: 'another process answers, also when it is told to end meanwhile',
    timeoutMs: 30_000,
    skip: all(needsReplies, needsProcess),
    async run(t) {
      const { child, answer } = await heldRequest(t)
      await child.terminate()
      assert.equal(await t.settled('the answer', answer), HELD_ANSWER)
    },
  },
  {
    id: 'Q1-killed',
    clauses: ['Q1', 'R6'],
    name: 'when the process that handles a request is killed, whoever handles it next answers',
    timeoutMs: 30_000,
    skip: all(needsReplies, needsProcess),
    async run(t) {
      const { definition, child, answer } = await heldRequest(t)
      await child.kill()
      t.consume(await t.open(definition), () => 'from the next')
      assert.equal(await t.settled('the answer', answer), 'from the next')
    },
  },
]
