import { expect, test } from 'vitest'
import { inRequests, SMALL } from './batch.js'
import { REQUEST_BYTES } from './capabilities.js'

const indexed = (sizes: readonly number[]) => sizes.map((item, index) => ({ index, item }))
const room = { most: REQUEST_BYTES, of: (size: number): number => size }

test('a batch is cut at ten entries and at what one request may hold', async () => {
  const half = REQUEST_BYTES / 2
  const requests: (readonly number[])[] = []
  const sizes = [half, half, half + 1, half, ...Array.from({ length: 12 }, () => 1)]
  await inRequests(indexed(sizes), room, async (part) => {
    requests.push(part)
    return []
  })
  expect(requests.map((part) => part.length)).toEqual([2, 1, 10, 3])
  expect(requests.flat()).toEqual(sizes)
})

test('each entry that failed is told by the index it came with, and so is a whole request', async () => {
  const sizes = Array.from({ length: 25 }, (_, n) => n)
  const failures = await inRequests(indexed(sizes), SMALL, async (part) => {
    if (part.includes(20)) throw new Error('all of them')
    return part.includes(10) ? [{ Id: '3', Code: 'InternalError', SenderFault: false }] : []
  })
  expect(failures.map(({ index }) => index).sort((a, b) => a - b)).toEqual([13, 20, 21, 22, 23, 24])
  expect(failures.find(({ index }) => index === 13)?.error).toMatchObject({ code: 'BUSY' })
})
