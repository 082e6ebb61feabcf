import { describe, expect, test } from 'vitest'
import { DriverError, lostError } from './driver-error.js'
import { untilAborted } from './until-aborted.js'

describe('waiting no longer than a signal', () => {
  test('gives what comes in time, and without a signal is the work itself', async () => {
    await expect(untilAborted(Promise.resolve(1), new AbortController().signal)).resolves.toBe(1)
    await expect(untilAborted(Promise.resolve(1), undefined)).resolves.toBe(1)
  })

  test('rejects with ABORTED, and hands over what comes late', async () => {
    const controller = new AbortController()
    const late: number[] = []
    let finish: (value: number) => void = () => {}
    const work = new Promise<number>((resolve) => {
      finish = resolve
    })
    const waiting = untilAborted(work, controller.signal, (value) => late.push(value))
    controller.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' })
    finish(7)
    await work
    expect(late).toEqual([7])
  })

  test('tells of a lost connection as such', async () => {
    const lost = lostError('the connection', new Error('gone'))
    await expect(untilAborted(new Promise(() => {}), AbortSignal.abort(lost))).rejects.toBe(lost)
  })
})

test('a loss keeps its cause and comes back by itself', () => {
  const cause = new Error('read ECONNRESET')
  const lost = lostError('nats: the connection to nats://h:1', cause)
  expect(lost).toBeInstanceOf(DriverError)
  expect(lost).toMatchObject({
    code: 'CONNECTION_LOST',
    retryable: true,
    cause,
    message: 'nats: the connection to nats://h:1 was lost: read ECONNRESET',
  })
})
