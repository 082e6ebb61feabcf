import { MsgloopError } from '@msgloop/core'
import { expect, test } from 'vitest'
import { sorted } from './errors.js'

test.each([
  ['42P01', 'NOT_FOUND', false],
  ['42703', 'DRIFT', false],
  ['42501', 'DENIED', false],
  ['28P01', 'DENIED', false],
  ['40001', 'BUSY', true],
  ['53300', 'BUSY', true],
  ['57P01', 'CONNECTION_LOST', true],
  ['08006', 'CONNECTION_LOST', true],
  ['ECONNREFUSED', 'UNREACHABLE', true],
  ['ECONNRESET', 'CONNECTION_LOST', true],
  ['22012', 'UNKNOWN', false],
])('%s is %s', (code, ours, retryable) => {
  const native = Object.assign(new Error('why'), { code })
  const error = sorted('inbox cannot begin', native)
  expect(error).toMatchObject({ code: ours, retryable, cause: native })
  expect(error.message).toMatch(/^inbox cannot begin: why/)
})

test('a connection that ended is told by words alone', () => {
  for (const words of [
    'Connection terminated unexpectedly',
    'Client has encountered a connection error and is not queryable',
  ])
    expect(sorted('x', new Error(words))).toMatchObject({ code: 'CONNECTION_LOST', retryable: true })
})

test('what is sorted stays as it is, and what is no error is told all the same', () => {
  const error = new MsgloopError('BUSY', 'busy')
  expect(sorted('x', error)).toBe(error)
  expect(sorted('x', 'thrown')).toMatchObject({ code: 'UNKNOWN', message: 'x: thrown' })
})

test('missing and old tables come with advice', () => {
  expect(sorted('x', Object.assign(new Error('no table'), { code: '42P01' })).message).toMatch(
    /migrate\(pool\)/,
  )
})
