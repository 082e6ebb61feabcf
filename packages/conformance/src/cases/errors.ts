import assert from 'node:assert/strict'
import type { ErrorCode } from '@msgloop/core'
import { MsgloopError } from '@msgloop/core'
import type { Case } from '../case.js'
import { refused } from '../expect.js'
import { pause } from '../wait.js'

const CODES: Readonly<Record<ErrorCode, true>> = {
  CLOSED: true,
  CONNECTION_LOST: true,
  UNREACHABLE: true,
  DENIED: true,
  NOT_FOUND: true,
  DRIFT: true,
  INVALID: true,
  TOO_LARGE: true,
  UNSUPPORTED: true,
  ABORTED: true,
  TIMEOUT: true,
  BUSY: true,
  LEASE_LOST: true,
  SETTLED: true,
  ADAPTER_MISSING: true,
  REMOTE: true,
  UNKNOWN: true,
}

/** `user:password@` of a URL. */
const USER_INFO = /\/\/[^\s/@:]*:[^\s/@]+@/

/** Messages of an error and of everything that caused it. */
function texts(error: unknown): string[] {
  const found: string[] = []
  for (let each: unknown = error; each instanceof Error && found.length < 10; each = each.cause)
    found.push(each.message)
  return found
}

export const errorCases: readonly Case[] = [
  {
    id: 'E1-shape',
    clauses: ['E1', 'L1'],
    name: 'errors have a code of the closed list, name broker and queue, keep the native cause, and hold no secret',
    async run(t) {
      const errors: MsgloopError[] = []
      const driver = await t.driver()
      const missing = await t.open(t.define({ sendTimeout: '5s' }), { topology: 'none' })
      const notFound = await refused('a send', () => missing.send({}), 'NOT_FOUND', 'rejected')
      assert.ok(notFound.message.includes(missing.name), `it names the queue: ${notFound.message}`)
      assert.ok(notFound.message.includes(driver.name), `it names the broker: ${notFound.message}`)
      assert.ok(notFound.cause, "the driver's own error is the cause")
      errors.push(notFound, await refused('a receive', () => missing.receive(), 'NOT_FOUND'))
      if (t.harness.outage) {
        const queue = await t.queue({ sendTimeout: '2s' })
        await queue.receive()
        await queue.send({})
        const broker = t.brokerOf(queue)
        const runs = t.consume(queue)
        const restore = await t.outage(broker)
        errors.push(
          await refused('a send', () => queue.send({}), ['TIMEOUT', 'UNREACHABLE', 'CONNECTION_LOST']),
        )
        errors.push(
          await refused('connect', () => broker.connect({ timeout: 300 }), [
            'TIMEOUT',
            'UNREACHABLE',
            'CONNECTION_LOST',
          ]),
        )
        const { error } = await broker.health({ timeout: 300 })
        if (error) errors.push(error)
        for (const trouble of runs.troubles) if (trouble instanceof MsgloopError) errors.push(trouble)
        await restore()
      }
      assert.doesNotMatch(driver.address, USER_INFO)
      for (const error of errors) {
        assert.ok(error instanceof Error && error.name === 'MsgloopError')
        assert.ok(error.code in CODES, `"${error.code}" is of the closed list`)
        assert.equal(typeof error.retryable, 'boolean')
        for (const text of [...texts(error), driver.address]) {
          assert.doesNotMatch(text, USER_INFO)
          for (const secret of t.harness.secrets ?? [])
            assert.ok(!text.includes(secret), `a secret is in "${text}"`)
        }
      }
    },
  },
  {
    id: 'E1-classify',
    clauses: ['E1', 'S2'],
    name: 'classification never throws, and what it does not know is UNKNOWN, not retryable, and never "certainly not stored"',
    async run(t) {
      const driver = await t.driver()
      const strange: unknown[] = [
        undefined,
        null,
        0,
        '',
        'text',
        1n,
        Symbol('s'),
        {},
        [],
        () => {},
        new Error('something else'),
        new TypeError('x is not a function'),
        Object.create(null),
        Object.assign(new Error('odd'), { code: 7 }),
        Object.assign(new Error('odd'), { code: 'NO_SUCH_CODE', message: undefined }),
      ]
      for (const [n, error] of strange.entries()) {
        const sorted = driver.classify(error)
        assert.deepEqual(driver.classify(error), sorted, 'the same again')
        assert.equal(sorted.code, 'UNKNOWN', `code of strange error ${n}`)
        assert.equal(sorted.retryable, false, `retryable of strange error ${n}`)
        assert.notEqual(sorted.outcome, 'rejected', `outcome of strange error ${n}`)
      }
    },
  },
  {
    id: 'L7-whole-run',
    clauses: ['L7'],
    name: 'the whole run left no unhandled rejection and no uncaught exception behind',
    exclusive: true,
    async run(t) {
      await pause(100)
      const seen = t.faults.map((fault) =>
        fault instanceof Error ? (fault.stack ?? fault.message) : String(fault),
      )
      assert.deepEqual(seen, [])
    },
  },
]
