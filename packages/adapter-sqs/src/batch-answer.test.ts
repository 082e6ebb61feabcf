import { expect, test } from 'vitest'
import { failedOf } from './batch-answer.js'
import { classify, entryError } from './errors.js'

const entries = ['0', '1', '2'].map((Id) => ({ Id }))

test('an answer that names every entry as stored has no failures', () => {
  expect(failedOf(entries, { Successful: entries })).toEqual([])
})

test('an entry that is in neither list may be stored, or not', () => {
  const Failed = [{ Id: '1', Code: 'InvalidMessageContents', SenderFault: true }]
  const failed = failedOf(entries, { Successful: [{ Id: '0' }], Failed })
  expect(failed.map(({ Id }) => Id)).toEqual(['1', '2'])
  const untold = classify(entryError(failed[1] ?? { Id: '', Code: '', SenderFault: true }))
  expect(untold).toMatchObject({ code: 'BUSY', retryable: true })
  expect(untold.outcome).toBeUndefined()
})
