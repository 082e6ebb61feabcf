import { once } from 'node:events'
import { createServer, Socket } from 'node:net'
import { MsgloopError } from '@msgloop/core'
import { expect, test } from 'vitest'
import { closedPort } from '../test-support.js'
import { type ConnectOptions, connect } from './connect.js'

async function refusal(url: string, options?: ConnectOptions): Promise<MsgloopError> {
  try {
    const broker = await connect(url, options)
    await broker.close()
  } catch (error) {
    if (error instanceof MsgloopError) return error
    throw error
  }
  throw new Error(`connect did not refuse ${url}`)
}

test('without a URL it connects to a broker in this process', async () => {
  const broker = await connect()
  const queue = broker.queue('orders')
  await queue.send({ id: 7 })
  const [delivery] = await queue.receive({ wait: '1s' })
  expect(delivery?.body).toEqual({ id: 7 })
  expect((await broker.health()).status).toBe('up')
  await delivery?.ack()
  await broker.close()
})

test('connections to one named memory broker share its messages', async () => {
  const [shop, mailer] = [await connect('memory://shared-by-two'), await connect('MEMORY://shared-by-two')]
  await shop.queue('mails').send('hello')
  const [delivery] = await mailer.queue('mails').receive({ wait: '1s' })
  expect(delivery?.body).toBe('hello')
  await delivery?.ack()
  await Promise.all([shop.close(), mailer.close()])
})

test('an unknown scheme is refused with the schemes there are', async () => {
  const error = await refusal('kafka://localhost:9092')
  expect(error.code).toBe('INVALID')
  expect(error.message).toBe(
    'connect: there is no adapter for "kafka:"; give a URL that begins with memory:, amqp:, amqps:, sqs:, sqs+http:, sqs+https:, nats:, tls:, redis:, rediss:, redis+cluster:, rediss+cluster:, such as memory: or amqp://localhost:5672',
  )
})

test('a host without a scheme is refused with an example that has one', async () => {
  expect((await refusal('localhost:5672')).message).toMatch(
    /"localhost:".* such as .*amqp:\/\/localhost:5672/,
  )
  expect((await refusal('//localhost')).message).toMatch(/has no scheme.* such as .*amqp:\/\/localhost:5672/)
  expect((await refusal('')).code).toBe('INVALID')
})

test.each([
  'amqp://ann:s3cret',
  'amqp://ann:s3cret@',
  'amqp://ann:s3/cret@host',
  'amqp://ann:s3cret@host:99999',
  'amqp://ann:s3cret%@host',
  'amqp://ann:s3cret@host?heartbeat=often',
  'amqp://ann:s3cret@host?pass=s3cret',
  'amq://ann:s3cret@host',
  'ann:s3cret@host',
  's3cret@host',
  'memory://ann:s3cret@name',
  'memory:?emulate=kafka&pass=s3cret',
])('a malformed URL is refused, and no message repeats a password: %s', async (url) => {
  const error = await refusal(url)
  expect(error.code).toBe('INVALID')
  for (let each: unknown = error; each instanceof Error; each = each.cause) {
    expect(each.message).not.toContain('s3')
    expect(JSON.stringify(each, Object.getOwnPropertyNames(each))).not.toContain('cret')
  }
})

test('a port on which nobody listens is an error that names host and port, and no password', async () => {
  const port = await closedPort()
  const error = await refusal(`amqp://ann:s3cret@127.0.0.1:${port}`)
  expect(error).toMatchObject({ code: 'UNREACHABLE', retryable: true })
  expect(error.message).toContain(`127.0.0.1:${port}`)
  expect(error.message).not.toMatch(/s3cret|ann:/)
})

test('a host that has two addresses is named too when it cannot be reached', async () => {
  const port = await closedPort()
  const error = await refusal(`amqp://ann:s3cret@localhost:${port}`)
  expect(error.code).toBe('UNREACHABLE')
  expect(error.message).toContain(`localhost:${port}`)
})

test('a server that never answers fails within the timeout, and its socket is let go', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('no port was given')
  const gone = once(server, 'connection').then(async ([socket]) => {
    if (!(socket instanceof Socket)) throw new Error('no socket')
    socket.resume()
    socket.on('error', () => {})
    await once(socket, 'close')
  })
  const error = await refusal(`amqp://ann:s3cret@127.0.0.1:${address.port}`, { timeout: '200ms' })
  expect(error).toMatchObject({ code: 'TIMEOUT', retryable: true })
  expect(error.message).toContain(`127.0.0.1:${address.port}`)
  expect(error.message).not.toContain('s3cret')
  await gone
  server.close()
})

test('a bad option is refused, and nothing stays open', async () => {
  const url = 'memory://refused-options'
  const unknown: object = { tiemout: 5 }
  const bad: ConnectOptions[] = [{ maxUnconfirmed: 0 }, { timeout: -1 }, unknown]
  for (const options of bad) expect((await refusal(url, options)).code).toBe('INVALID')
  // A named broker that somebody still has open cannot be opened with another "emulate".
  const broker = await connect(`${url}?emulate=sqs`)
  await broker.close()
})
