import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Book } from './book.js'
import {
  addAttempt,
  attemptError,
  deadError,
  deadHeaders,
  readBook,
  replayHeaders,
  retryHeaders,
  userHeaders,
} from './book.js'
import type { Delivery } from './driver.js'
import { BOOK_HEADERS } from './headers.js'

const delivery = (headers: Record<string, string>, deliveries = 1): Delivery => ({
  token: undefined,
  native: undefined,
  deliveries,
  message: { id: 'm', body: new Uint8Array(), headers, timestamp: 0 },
})

const fail = (book: Book, message: string): Book =>
  addAttempt(book, {
    attempt: book.attempt,
    at: 1_000 + book.attempt,
    durationMs: 5,
    consumer: 'c',
    error: attemptError(new Error(message)),
  })

test('a first delivery is attempt 1 without a past', () => {
  expect(readBook(delivery({}))).toMatchObject({
    attempt: 1,
    total: 0,
    records: [],
    replays: 0,
    dead: undefined,
  })
})

test('what is written for a retry is read by the next attempt', () => {
  const book = fail(readBook(delivery({}, 2)), 'boom')
  const next = readBook(delivery(retryHeaders(book), 3))
  expect(next).toMatchObject({ attempt: 2, total: 1, firstAttemptAt: 1_001, deliveries: 3 })
  expect(next.records).toEqual([
    { attempt: 1, at: 1_001, durationMs: 5, consumer: 'c', error: { name: 'Error', message: 'boom' } },
  ])
})

test('a replayed message begins at attempt 1, with its past and the count of replays', () => {
  const dead = readBook(
    delivery(
      deadHeaders(fail(readBook(delivery({})), 'boom'), {
        reason: 'exhausted',
        source: 'q',
        at: 9,
        deliveries: 1,
      }),
    ),
  )
  const replayed = readBook(delivery(replayHeaders(dead, false)))
  expect(replayed).toMatchObject({
    attempt: 1,
    replays: 1,
    total: 1,
    dead: undefined,
    firstAttemptAt: undefined,
  })
})

test('a history of any errors stays within 8 KiB and keeps the first three attempts and the last', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: 'binary', maxLength: 2_000 }), { minLength: 5, maxLength: 60 }),
      (messages) => {
        let book = readBook(delivery({}))
        for (const message of messages) book = fail({ ...book, attempt: book.total + 1 }, message)
        const header = retryHeaders(book)[BOOK_HEADERS.history] ?? ''
        expect(Buffer.byteLength(header)).toBeLessThanOrEqual(8_192)
        const numbers = book.records.map((record) => record.attempt)
        expect(numbers.slice(0, 3)).toEqual([1, 2, 3])
        expect(numbers.at(-1)).toBe(messages.length)
        expect(book.total).toBe(messages.length)
      },
    ),
    { numRuns: 60 },
  )
})

test('the stack of the last error is cut at 4 KiB, between characters', () => {
  const error = new Error('deep')
  error.stack = 'ü'.repeat(5_000)
  const { stack } = deadError(error)
  expect(Buffer.byteLength(stack ?? '')).toBeLessThanOrEqual(4_096)
  expect(stack).toMatch(/^ü+$/)
})

test.each([[undefined], [null], ['text'], [{ code: 7 }], [Symbol('s')], [10n]])(
  'describes a thrown %s',
  (thrown) => {
    const { name, message } = attemptError(thrown)
    expect(name).not.toBe('')
    expect(typeof message).toBe('string')
  },
)

test('mangled bookkeeping is read as absent', () => {
  const headers = {
    [BOOK_HEADERS.attempt]: 'x',
    [BOOK_HEADERS.history]: '{',
    [BOOK_HEADERS.dead]: '7',
    [BOOK_HEADERS.replays]: '-3',
  }
  expect(readBook(delivery(headers))).toMatchObject({
    attempt: 1,
    total: 0,
    records: [],
    replays: 0,
    dead: undefined,
  })
})

test('user headers are what is left without ours', () => {
  expect(userHeaders({ tenant: 'a', [BOOK_HEADERS.attempt]: '2' })).toEqual({ tenant: 'a' })
})
