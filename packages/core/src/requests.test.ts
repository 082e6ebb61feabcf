import { expect, test } from 'vitest'
import type { Driver } from './driver.js'
import { MsgloopError } from './error.js'
import { Requests } from './requests.js'
import { manualClock } from './testing/index.js'

/** All of a driver that requests use. */
const driver = {
  name: 'test',
  address: 'test:',
  replies: {
    open: async () => ({ address: 'here', close: async () => {} }),
    send: async () => [],
  },
} as unknown as Driver

/** A send that ends only when it is told to. */
const untilAborted = (begun: () => void) => (_: string, signal: AbortSignal) =>
  new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () =>
      reject(new MsgloopError('ABORTED', 'the send was aborted', { outcome: 'unknown' })),
    )
    begun()
  })

test('a request whose time ends while it is being sent says TIMEOUT, and what became of it as the send says', async () => {
  const clock = manualClock()
  const requests = new Requests({ driver, clock, random: Math.random })
  let answered: Promise<unknown> = Promise.resolve()
  await new Promise<void>((begun) => {
    const request = { id: '1', at: 'request', timeoutMs: 100, signal: undefined }
    answered = requests.ask({ ...request, send: untilAborted(begun) })
  })
  const outcome = expect(answered).rejects.toMatchObject({ code: 'TIMEOUT', outcome: 'unknown' })
  await clock.advance(100)
  await outcome
})

test('a request that is aborted while it is being sent says ABORTED by its own signal', async () => {
  const abort = new AbortController()
  const requests = new Requests({ driver, clock: manualClock(), random: Math.random })
  let answered: Promise<unknown> = Promise.resolve()
  await new Promise<void>((begun) => {
    const request = { id: '1', at: 'my request', timeoutMs: 100, signal: abort.signal }
    answered = requests.ask({ ...request, send: untilAborted(begun) })
  })
  abort.abort()
  await expect(answered).rejects.toMatchObject({
    code: 'ABORTED',
    outcome: 'unknown',
    message: expect.stringContaining('my request'),
  })
})
