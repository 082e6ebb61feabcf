import { describe, expect, test } from 'vitest'
import { logicalName, physicalName } from './names.js'

describe('a queue name on SQS', () => {
  test.each([
    ['', 'orders', false, 'orders'],
    ['', 'orders.dlq', false, 'orders--dlq'],
    ['prod-', 'a..b', false, 'prod-a----b'],
    ['', 'my_queue-1', true, 'my_queue-1.fifo'],
  ])('prefix "%s", name "%s", fifo %s is "%s", and is read back', (prefix, name, fifo, physical) => {
    expect(physicalName(prefix, name, fifo)).toBe(physical)
    expect(logicalName(prefix, physical)).toBe(name)
  })

  test.each(['a--b', 'a-.b', 'a.-b'])('"%s" is refused, as it could be another queue too', (name) => {
    expect(() => physicalName('', name, false)).toThrow(
      expect.objectContaining({ code: 'INVALID', outcome: 'rejected' }),
    )
  })

  test('of more than 80 characters is refused, whatever made it so long', () => {
    expect(physicalName('p'.repeat(10), 'n'.repeat(70), false)).toHaveLength(80)
    expect(() => physicalName('p'.repeat(10), 'n'.repeat(70), true)).toThrow(
      /85 characters long; 80 are possible/,
    )
    expect(() => physicalName('', `${'n.'.repeat(35)}`, false)).toThrow(/105 characters/)
  })

  test('that is none of ours stays as it is', () => {
    expect(logicalName('prod-', 'other--queue')).toBe('other--queue')
  })
})
