import { expect, test } from 'vitest'
import { parseMemoryUrl } from './url.js'

test.each([
  ['memory:', {}],
  ['memory://', {}],
  ['memory:?emulate=sqs', { emulate: 'sqs' }],
  ['memory://dev', { name: 'dev' }],
  ['memory://Dev.1_x/', { name: 'Dev.1_x' }],
  ['memory://dev?emulate=redis-streams', { name: 'dev', emulate: 'redis-streams' }],
])('%s is read', (url, options) => {
  expect(parseMemoryUrl(url)).toEqual(options)
})

test.each([
  ['memory', 'it is not a URL'],
  ['redis://dev', 'its scheme is "redis:"'],
  ['memory:dev', 'it has more than a name'],
  ['memory://dev/queue', 'it has more than a name'],
  ['memory://dev:1', 'it has more than a name'],
  ['memory://dev#a', 'it has more than a name'],
  ['memory://dev?emulates=sqs', 'unknown option "emulates"'],
  ['memory://dev?emulate=kafka', 'option "emulate" is "kafka"; there are rabbitmq, sqs, nats, redis-streams'],
  ['memory://dev?emulate=sqs&emulate=nats', '"emulate" more than once'],
])('%s is refused: %s', (url, why) => {
  expect(() => parseMemoryUrl(url)).toThrow(
    expect.objectContaining({ code: 'INVALID', message: expect.stringContaining(why) }),
  )
})

test('a password in the URL is refused and not repeated', () => {
  expect(() => parseMemoryUrl('memory://user:secret@dev')).toThrow(
    expect.objectContaining({ code: 'INVALID', message: expect.not.stringContaining('secret') }),
  )
})
