import { expect, test } from 'vitest'
import { SharedAttempt } from './shared-attempt.js'

/** Attempts that end when told to. */
function attempts() {
  const begun: { resolve: (value: string) => void; reject: (error: Error) => void; signal: AbortSignal }[] =
    []
  const shared = new SharedAttempt<string>(
    ({ signal }) => new Promise((resolve, reject) => begun.push({ resolve, reject, signal })),
  )
  return { begun, shared }
}

test('callers share one attempt, and the next begins another', async () => {
  const { begun, shared } = attempts()
  const both = [shared.join(), shared.join()]
  expect(begun).toHaveLength(1)
  begun[0]?.resolve('open')
  expect(await Promise.all(both)).toEqual(['open', 'open'])
  expect(begun[0]?.signal.aborted).toBe(false)
  const next = shared.join()
  begun[1]?.reject(new Error('refused'))
  await expect(next).rejects.toThrow('refused')
})

test('it goes on while anybody waits, and is given up when nobody does', async () => {
  const { begun, shared } = attempts()
  const [one, other] = [new AbortController(), new AbortController()]
  const waiting = [shared.join(one.signal), shared.join(other.signal)]
  one.abort()
  await expect(waiting[0]).rejects.toMatchObject({ code: 'ABORTED' })
  expect(begun[0]?.signal.aborted).toBe(false)
  other.abort()
  await expect(waiting[1]).rejects.toMatchObject({ code: 'ABORTED' })
  expect(begun[0]?.signal.aborted).toBe(true)
  void shared.join().catch(() => {})
  expect(begun).toHaveLength(2)
})

test('aborting gives it up for all', () => {
  const { begun, shared } = attempts()
  shared.join().catch(() => {})
  shared.abort()
  expect(begun[0]?.signal.aborted).toBe(true)
})
