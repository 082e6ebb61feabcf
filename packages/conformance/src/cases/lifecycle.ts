import assert from 'node:assert/strict'
import { fixed, immediate, MsgloopError } from '@msgloop/core'
import type { Case } from '../case.js'
import { between, refused, sameMembers } from '../expect.js'
import { heldQueue } from '../hold-message.js'
import { deferred, pause } from '../wait.js'
import { witness } from '../witness.js'
import { HOSTILE, hostile } from './hostile.js'
import { needsProcess } from './needs.js'

export const lifecycleCases: readonly Case[] = [
  {
    id: 'L7-throws',
    clauses: ['L7', 'D1', 'T1'],
    name: 'whatever a handler throws, now or later, is a failed attempt: retried, then dead-lettered with an error record',
    async run(t) {
      const queue = await t.queue<string>({ retry: immediate({ attempts: 2 }) })
      const runs = t.consume(queue, (body) => {
        if (body.startsWith('later-')) return Promise.reject(hostile(body.slice(6)))
        throw hostile(body)
      })
      const direct = t.brokerOf(queue)
      const sync = direct.queue<string>(t.define<string>({ retry: immediate({ attempts: 1 }) }))
      // A handler that is no async function throws while it is being called.
      sync.consume((body) => {
        throw hostile(body)
      })
      const kinds = [...HOSTILE, ...HOSTILE.map((kind) => `later-${kind}`)]
      for (const kind of kinds) await queue.send(kind, { id: kind })
      for (const kind of HOSTILE) await sync.send(kind, { id: kind })
      const entries = await t.dead(queue, kinds.length)
      sameMembers(
        'entries',
        entries.map(({ id }) => id),
        kinds,
      )
      for (const entry of entries) {
        assert.equal(entry.reason, 'exhausted')
        assert.equal(runs.of(entry.id).length, 2, `runs of ${entry.id}`)
        assert.equal(typeof entry.error?.name, 'string')
        assert.equal(typeof entry.error?.message, 'string')
      }
      assert.match(entries.find(({ id }) => id === 'string')?.error?.message ?? '', /just text/)
      await t.dead(sync, HOSTILE.length)
      await t.empty(queue)
    },
  },
  {
    id: 'L7-never-settles',
    clauses: ['L7', 'T1'],
    name: 'a handler that never settles has failed after handlerTimeout: its signal aborts, its slot is free, its message is retried',
    async run(t) {
      const queue = await t.queue<string>({ retry: fixed({ attempts: 2, delay: 100 }) })
      const late = deferred()
      const runs = t.consume(
        queue,
        async (body) => {
          if (body !== 'stuck') return
          await late.promise
          throw new Error('too late to matter')
        },
        { concurrency: 1, handlerTimeout: 300 },
      )
      await queue.send('stuck', { id: 'stuck' })
      await queue.send('quick', { id: 'quick' })
      const [entry] = await t.dead(queue, 1)
      assert.equal(entry?.id, 'stuck')
      assert.equal(entry?.reason, 'exhausted')
      assert.equal(runs.of('stuck').length, 2)
      assert.equal(runs.of('quick').length, 1)
      for (const run of runs.of('stuck')) {
        const reason: unknown = run.message.signal.reason
        assert.ok(
          reason instanceof MsgloopError && reason.code === 'TIMEOUT',
          `expected TIMEOUT, saw ${reason}`,
        )
      }
      between('duration of the attempt', entry?.attempts[0]?.durationMs ?? 0, 298, 5_000)
      late.resolve()
      await pause(50)
      await t.empty(queue)
      assert.equal((await t.deadNow(queue)).length, 1)
    },
  },
  {
    id: 'L6-pause',
    clauses: ['L6', 'R2'],
    name: 'a paused consumer starts nothing and holds nothing back, running handlers go on, and resume continues',
    async run(t) {
      const definition = t.define<number>()
      const queue = await t.open(definition)
      const gate = deferred()
      const runs = t.consume(queue, (body) => (body === 0 ? gate.promise : undefined), {
        concurrency: 2,
        prefetch: 2,
      })
      await queue.send(0)
      await t.count('handlers started', runs.list, 1)
      await t.settled('the pause', runs.consumer.pause())
      assert.equal(runs.consumer.state, 'paused')
      await queue.sendBatch([1, 2, 3].map((body) => ({ body })))
      await pause(250)
      assert.equal(runs.list.length, 1, 'nothing starts while paused')
      const other = await t.open(definition)
      const [taken] = await other.receive({ wait: '5s' })
      assert.ok(taken, 'what a paused consumer does not take, others can')
      await taken.ack()
      gate.resolve()
      await t.until(
        'the running handler to end',
        () => runs.list[0]?.endedAt,
        (at) => at !== undefined,
      )
      runs.consumer.resume()
      assert.equal(runs.consumer.state, 'running')
      await t.count('handlers started', runs.list, 3)
      sameMembers('bodies', [...runs.list.map(({ body }) => body), taken.body], [0, 1, 2, 3])
      await t.empty(other)
    },
  },
  {
    id: 'L6-pause-often',
    clauses: ['L6', 'T8', 'R1'],
    name: 'pausing, resuming and changing concurrency over and over under load loses, doubles and counts nothing',
    async run(t) {
      const queue = await t.queue<number>({ maxDeliveries: 300 })
      const runs = t.consume(queue, () => pause(2), { concurrency: 4, prefetch: 4 })
      const sent = queue.sendBatch(Array.from({ length: 200 }, (_, body) => ({ body })))
      for (let turn = 0; turn < 10; turn++) {
        await pause(t.random() * 15)
        if (turn % 2 === 0) await runs.consumer.pause()
        else runs.consumer.concurrency = 1 + Math.floor(t.random() * 8)
        runs.consumer.resume()
      }
      const ids = (await sent).map(({ id }) => id ?? '')
      await t.count('handler runs', runs.list, 200)
      await t.empty(queue, 300)
      sameMembers('handled', runs.ids(), ids)
      assert.deepEqual(new Set(runs.list.map(({ attempt }) => attempt)), new Set([1]))
    },
  },
  {
    id: 'L6-concurrency',
    clauses: ['L6', 'R2'],
    name: 'a changed concurrency takes effect on a running consumer, up and down',
    async run(t) {
      const queue = await t.queue<number>()
      const gates = [deferred(), deferred(), deferred()]
      let phase = 0
      const runs = t.consume(queue, () => gates[phase]?.promise, { concurrency: 2 })
      await queue.sendBatch(Array.from({ length: 30 }, (_, body) => ({ body })))
      await t.count('handlers started', runs.list, 2)
      runs.consumer.concurrency = 6
      await t.count('handlers started', runs.list, 6)
      await pause(100)
      assert.equal(runs.consumer.running, 6)
      runs.consumer.concurrency = 1
      phase = 1
      gates[0]?.resolve()
      await t.count('handlers started', runs.list, 7)
      await t.until(
        'the others to end',
        () => runs.consumer.running,
        (running) => running === 1,
      )
      await pause(100)
      assert.equal(runs.consumer.running, 1)
      assert.equal(runs.list.length, 7)
      await refused(
        'a concurrency of 0',
        () => {
          runs.consumer.concurrency = 0
        },
        'INVALID',
      )
      phase = 2
      gates[2]?.resolve()
      gates[1]?.resolve()
      await t.count('handlers started', runs.list, 30)
      sameMembers(
        'bodies',
        runs.list.map(({ body }) => body),
        Array.from({ length: 30 }, (_, n) => n),
      )
    },
  },
  {
    id: 'L5-deleted',
    clauses: ['L5'],
    name: 'a queue deleted under its consumer is made again or reported within 5 s, never in a hot loop',
    async run(t) {
      const definition = t.define()
      const { watch, calls } = witness()
      const queue = await t.open(definition, { wrap: watch })
      const runs = t.consume(queue)
      await queue.send('before')
      await t.count('messages', runs.list, 1)
      const callsBefore = calls.length
      await (await t.open(definition)).delete()
      const deletedAt = Date.now()
      const other = await t.open(definition)
      await t.until(
        'the consumer to receive again or to report',
        async () => {
          if (runs.troubles.length > 0) return true
          await other.send('after').catch(() => {})
          await pause(100)
          return runs.list.length > 1
        },
        (seen) => seen,
      )
      between('ms until it was made again or reported', Date.now() - deletedAt, 0, 5_000)
      for (const trouble of runs.troubles)
        assert.ok(trouble instanceof MsgloopError, `trouble is reported as a MsgloopError, saw ${trouble}`)
      await pause(1_000)
      between('calls to open or declare since', calls.length - callsBefore, 0, 50)
      between('reports since', runs.troubles.length, 0, 25)
      await other.send('in the end')
      await t.until(
        'a message in the end',
        () => runs.list.some(({ body }) => body === 'in the end'),
        (seen) => seen,
      )
    },
  },
  {
    id: 'L5-never-there',
    clauses: ['L5', 'C2'],
    name: 'a consumer of a queue that does not exist and may not be made reports NOT_FOUND, and starts when it is made',
    async run(t) {
      const definition = t.define()
      const { watch, calls } = witness()
      const queue = await t.open(definition, { topology: 'none', wrap: watch })
      const runs = t.consume(queue)
      await t.until(
        'a report',
        () => runs.troubles.length,
        (count) => count > 0,
      )
      assert.ok(
        runs.troubles.some((trouble) => trouble instanceof MsgloopError && trouble.code === 'NOT_FOUND'),
        `expected NOT_FOUND, saw ${runs.troubles[0]}`,
      )
      await pause(500)
      between('calls to open', calls.length, 1, 25)
      await (await t.open(definition)).send('at last')
      await t.count('messages', runs.list, 1)
    },
  },
  {
    id: 'L9-signal',
    clauses: ['L9', 'L2', 'L3'],
    name: 'on SIGTERM a process finishes its message, settles it, and ends by that signal',
    skip: needsProcess,
    async run(t) {
      const definition = heldQueue(t.name())
      const queue = await t.open(definition)
      const id = await queue.send({})
      const held = await t.harness.spawnConsumer?.(definition.name)
      assert.ok(held)
      try {
        assert.equal(await t.settled('the process to hold the message', held.started), id)
        assert.equal(await t.settled('the process to end', held.terminate()), 'SIGTERM')
        await t.empty(queue, 1_500)
      } finally {
        await held.kill()
      }
    },
  },
]
