import { describe, expect, test } from 'vitest'
import { copiedIds, sentIds } from './fifo.js'

const KEYED = { keyed: true, unique: false }
const UNIQUE = { keyed: false, unique: true }
const message = { id: 'id', key: 'k' }

describe('the group of a message', () => {
  test('is its key where the queue is ordered by key, and its id where it has none', () => {
    expect(sentIds(KEYED, message, 0).MessageGroupId).toBe('k')
    expect(sentIds(KEYED, { id: 'id' }, 0).MessageGroupId).toBe('id')
    expect(copiedIds(KEYED, message, 0, 'native').MessageGroupId).toBe('k')
  })

  test('is its own elsewhere, and while it is delayed', () => {
    expect(sentIds(UNIQUE, message, 0).MessageGroupId).toBe('id')
    expect(sentIds(KEYED, message, 1_000).MessageGroupId).toBe('id')
    expect(copiedIds(UNIQUE, message, 0, 'native').MessageGroupId).toBe('native')
    expect(copiedIds(KEYED, message, 1_000, 'native').MessageGroupId).toBe('native')
  })

  test.each(['ä', 'with a space', '\u0000', 'k'.repeat(129)])(
    'is one that SQS takes for the key "%s"',
    (key) => {
      const { MessageGroupId } = sentIds(KEYED, { id: 'id', key }, 0)
      expect(MessageGroupId).toMatch(/^[0-9a-f]{64}$/)
      expect(sentIds(KEYED, { id: 'other', key }, 0).MessageGroupId).toBe(MessageGroupId)
      expect(sentIds(KEYED, { id: 'id', key: `${key}x` }, 0).MessageGroupId).not.toBe(MessageGroupId)
    },
  )
})

describe('the deduplication id', () => {
  test('is the message`s where a window was asked for, and nobody else`s where none was', () => {
    expect(sentIds(UNIQUE, message, 0).MessageDeduplicationId).toBe('id')
    const [first, second] = [sentIds(KEYED, message, 0), sentIds(KEYED, message, 0)]
    expect(first.MessageDeduplicationId).not.toBe(second.MessageDeduplicationId)
  })

  test('of a copy is one for every copy of a stored message, and differs from that of the original', () => {
    for (const fifo of [KEYED, UNIQUE])
      expect(copiedIds(fifo, message, 0, 'native').MessageDeduplicationId).toBe('native')
  })
})
