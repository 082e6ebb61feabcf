import assert from 'node:assert/strict'
import type { FlowEvent, FlowStep } from '@msgloop/core'
import { fixed, immediate, Reject } from '@msgloop/core'
import type { Case } from '../case.js'
import { between, sameMembers } from '../expect.js'
import { seededRandom } from '../random.js'

const tally = (events: readonly FlowEvent[]): Partial<Record<FlowStep, number>> => {
  const counts: Partial<Record<FlowStep, number>> = {}
  for (const { step } of events) counts[step] = (counts[step] ?? 0) + 1
  return counts
}

export const flowCases: readonly Case[] = [
  {
    id: 'F1-truth',
    clauses: ['F1', 'W2', 'D6'],
    name: 'flow events match what happened, exactly, step by step',
    async run(t) {
      const queue = await t.queue<string>({ retry: fixed({ attempts: 3, delay: 100 }) })
      const events = t.events(queue.name)
      const runs = t.consume(queue, (body, message) => {
        if (body === 'once' && message.attempt === 1) throw new Error('once')
        if (body === 'always' && message.replays === 0) throw new Error('always')
        if (body === 'reject') throw new Reject('no')
      })
      await runs.consumer.pause()
      for (const body of ['good', 'once', 'always', 'reject'])
        for (let n = 0; n < 5; n++) await queue.send(body, { id: `${body}-${n}` })
      await queue.send('expired', { id: 'expired', ttl: 1 })
      const [released] = await queue.receive({ wait: '5s' })
      await released?.release()
      runs.consumer.resume()
      await t.dead(queue, 11)
      await queue.deadLetters.replay({ reason: 'exhausted' })
      await t.count('handler runs', runs.list, 5 + 10 + 15 + 5 + 5)
      await runs.consumer.close()
      await t.until(
        'the last acks',
        () => tally(events).acked,
        (acked) => acked === 15,
      )
      // Where the broker itself dead-letters what expired, no process of ours sees that step.
      const expired = events.filter(({ step }) => step === 'expired').length
      between('expired messages seen', expired, 0, 1)
      assert.deepEqual(tally(events), {
        sent: 21,
        received: 1 + 40 + expired,
        released: 1,
        started: 40,
        acked: 15,
        retried: 5 + 10,
        'dead-lettered': 5,
        rejected: 5,
        ...(expired && { expired }),
        replayed: 5,
      })
    },
  },
  {
    id: 'F1-fields',
    clauses: ['F1', 'F2'],
    name: 'an event tells message, queue, consumer, attempt, time, duration, delay, reason and error',
    async run(t) {
      const queue = await t.queue({ retry: fixed({ attempts: 2, delay: 200 }) })
      const events = t.events(queue.name)
      const failure = new Error('always')
      t.consume(queue, () => Promise.reject(failure), { name: 'worker-1' })
      const before = Date.now()
      const id = await queue.send({}, { key: 'k', type: 'made', correlationId: 'c', causationId: 'x' })
      await t.dead(queue, 1)
      const event = await t.until(
        'the last step',
        () => events.find(({ step }) => step === 'dead-lettered'),
        (found) => found !== undefined,
      )
      const after = Date.now()
      for (const each of events) {
        assert.equal(each.messageId, id)
        assert.equal(each.queue, queue.name)
        assert.equal(each.broker, t.brokerOf(queue).name)
        between(`time of "${each.step}"`, each.at, before, after)
        assert.deepEqual([each.key, each.type, each.correlationId, each.causationId], ['k', 'made', 'c', 'x'])
        if (each.step !== 'sent') assert.equal(each.consumer, 'worker-1', `consumer of "${each.step}"`)
      }
      const steps = events.filter(({ step }) => step !== 'sent').map(({ step }) => step)
      assert.deepEqual(steps, ['received', 'started', 'retried', 'received', 'started', 'dead-lettered'])
      const retried = events.find(({ step }) => step === 'retried')
      assert.equal(retried?.attempt, 1)
      assert.equal(retried?.error, failure)
      assert.equal(
        retried?.delayMs,
        Math.ceil(200 / t.capabilities.limits.delayResolutionMs) * t.capabilities.limits.delayResolutionMs,
      )
      between('durationMs', retried?.durationMs ?? -1, 0, after - before)
      assert.equal(event?.attempt, 2)
      assert.equal(event?.reason, 'exhausted')
      assert.equal(event?.error, failure)
    },
  },
  {
    id: 'F2-caused-by',
    clauses: ['F2', 'M3'],
    name: 'a message sent because of another carries its correlation, causation and trace context',
    async run(t) {
      const first = await t.queue<string>()
      const broker = t.brokerOf(first)
      const second = broker.queue(t.define<string>())
      t.consume(first, (_, message) => second.send('effect', { causedBy: message }))
      const runs = t.consume(second)
      const trace = {
        traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        tracestate: 'v=1',
      }
      const id = await first.send('cause', { correlationId: 'corr', ...trace })
      const bare = await first.send('cause')
      await t.count('effects', runs.list, 2)
      const of = (cause: string) => runs.list.find(({ message }) => message.causationId === cause)?.message
      assert.equal(of(id)?.correlationId, 'corr')
      assert.equal(of(id)?.traceparent, trace.traceparent)
      assert.equal(of(id)?.tracestate, trace.tracestate)
      assert.equal(of(bare)?.correlationId, bare, 'a message without a correlation begins one')
    },
  },
  {
    id: 'F2-dead-letter',
    clauses: ['F2', 'D1', 'T5'],
    name: 'trace context and causation survive retry, dead-lettering and replay',
    async run(t) {
      const queue = await t.queue({ retry: immediate({ attempts: 2 }) })
      const fields = {
        correlationId: 'corr',
        causationId: 'cause',
        traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
        tracestate: 'v=1',
      }
      const runs = t.consume(queue, (_, message) => {
        if (message.replays === 0) throw new Error('not yet')
      })
      await queue.send({}, fields)
      await t.dead(queue, 1)
      await queue.deadLetters.replay()
      await t.count('handler runs', runs.list, 3)
      for (const { message } of runs.list) {
        const { correlationId, causationId, traceparent, tracestate } = message
        assert.deepEqual({ correlationId, causationId, traceparent, tracestate }, fields)
      }
    },
  },
  {
    id: 'T1-soak',
    clauses: ['T1', 'R1', 'S1', 'D2', 'F1', 'L8'],
    name: '1 000 messages through flaky handlers: none lost, none doubled, attempts exact, and the balance is right',
    exclusive: true,
    timeoutMs: 60_000,
    async run(t) {
      const attempts = 4
      const definition = t.define<number>({ retry: fixed({ attempts, delay: 100 }) })
      const fails = (id: string, attempt: number): boolean => seededRandom(`${id}/${attempt}`)() < 0.4
      const runsNeeded = (id: string): number => {
        for (let attempt = 1; attempt < attempts; attempt++) if (!fails(id, attempt)) return attempt
        return attempts
      }
      const events = t.events(definition.name)
      const sending = await t.open(definition)
      const workers = await Promise.all(
        [1, 2].map(async () =>
          t.consume(
            await t.open(definition),
            (_, message) => {
              if (fails(message.id, message.attempt)) throw new Error(`flaky ${message.attempt}`)
            },
            { concurrency: 32 },
          ),
        ),
      )
      const ids = Array.from({ length: 1_000 }, (_, n) => `m${n}`)
      for (let at = 0; at < 1_000; at += 250)
        await sending.sendBatch(ids.slice(at, at + 250).map((id, n) => ({ id, body: n, headers: { id } })))
      const doomed = ids.filter((id) => runsNeeded(id) === attempts && fails(id, attempts))
      const expected = ids.reduce((sum, id) => sum + runsNeeded(id), 0)
      const all = () => workers.flatMap(({ list }) => list)
      await t.until(
        'every handler run',
        () => all().length,
        (count) => count >= expected,
      )
      const entries = await t.dead(sending, doomed.length)
      await t.empty(sending, 500)
      sameMembers(
        'dead letters',
        entries.map(({ id }) => id),
        doomed,
      )
      assert.equal(all().length, expected, 'handler runs in all')
      for (const id of ids) {
        const seen = all().filter((run) => run.id === id)
        assert.deepEqual(
          seen
            .sort((a, b) => a.startedAt - b.startedAt || a.attempt - b.attempt)
            .map(({ attempt }) => attempt),
          Array.from({ length: runsNeeded(id) }, (_, n) => n + 1),
          `attempts of ${id}`,
        )
        assert.equal(seen[0]?.message.headers.id, id)
      }
      await Promise.all(workers.map(({ consumer }) => consumer.close()))
      const counts = tally(events)
      assert.equal(counts.sent, 1_000)
      assert.equal(counts.acked, 1_000 - doomed.length)
      assert.equal(counts['dead-lettered'], doomed.length)
      assert.equal(counts.retried, expected - 1_000)
      assert.equal(counts.started, expected)
    },
  },
]
