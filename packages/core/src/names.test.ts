import { expect, test } from 'vitest'
import { besideName, checkQueueName } from './names.js'

test('a queue beside another has its name and a suffix', () => {
  expect(besideName('orders.dlq', '.quarantine')).toBe('orders.dlq.quarantine')
})

test('where that is too long the name is cut, and told apart from others that begin alike', () => {
  const one = besideName(`${'q'.repeat(65)}1.dlq`, '.quarantine')
  const two = besideName(`${'q'.repeat(65)}2.dlq`, '.quarantine')
  expect(one).toHaveLength(70)
  expect(one).toMatch(/^q+-[0-9a-f]{8}\.quarantine$/)
  expect(one).not.toBe(two)
  expect(() => checkQueueName(one)).not.toThrow()
})
