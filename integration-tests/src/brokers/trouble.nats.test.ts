import { randomUUID } from 'node:crypto'
import { inspect } from 'node:util'
import type { Broker } from '@msgloop/core'
import { MsgloopError } from '@msgloop/core'
import { jetstreamManager } from '@nats-io/jetstream'
import { connect as connectRaw, type NatsConnection } from '@nats-io/transport-node'
import { createBroker, defineQueue, openDriver } from 'msgloop'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { NatsServer } from '../nats-server.js'
import { startNats } from '../nats-server.js'

const SECRET = 'hunter2-right'

async function errorOf(action: () => Promise<unknown>): Promise<MsgloopError> {
  const error = await action().then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(MsgloopError)
  return error as MsgloopError
}

describe('trouble of a real NATS', () => {
  let server: NatsServer
  let raw: NatsConnection
  const open: Broker[] = []

  const broker = async (url: string): Promise<Broker> => {
    const opened = createBroker(await openDriver(url))
    open.push(opened)
    return opened
  }

  beforeAll(async () => {
    server = await startNats('nats:2.15', [], { user: { name: 'ann', password: SECRET } })
    raw = await connectRaw({ servers: `${server.host}:${server.port}`, user: 'ann', pass: SECRET })
  })
  afterAll(async () => {
    await raw?.close()
    await server?.stop()
  })
  afterEach(async () => {
    for (const each of open.splice(0)) await each.close()
  })

  test('wrong credentials are DENIED, and no password is anywhere in the error', async () => {
    for (const credentials of ['ann:hunter2-wrong@', 'nobody:hunter2-wrong@', '']) {
      const url = `nats://${credentials}${server.host}:${server.port}`
      const error = await errorOf(async () => (await broker(url)).connect())
      expect(error).toMatchObject({ code: 'DENIED', retryable: false })
      expect(error.message).toContain(`${server.port}`)
      expect(inspect(error, { depth: 10, showHidden: true })).not.toContain('hunter2')
    }
  })

  test('a stream that is full refuses for now: what it takes is kept, and the rest is not stored', async () => {
    const name = `full-${randomUUID()}`
    const queue = (await broker(server.url())).queue(defineQueue<number>(name, { sendTimeout: '1s' }))
    await queue.send(0)
    const manager = await jetstreamManager(raw)
    const stream = `msgloop-${name}`
    const { config } = await manager.streams.info(stream)
    await manager.streams.update(stream, { ...config, max_msgs: 3, discard: 'new' as never })
    const results = await queue.sendBatch([1, 2, 3, 4].map((body) => ({ body })))
    expect(results.map(({ ok }) => ok)).toEqual([true, true, false, false])
    // Its time may end while it is being tried once more: then the outcome is not known.
    for (const result of results)
      if (!result.ok) expect(['rejected', 'unknown']).toContain(result.error.outcome)
    const seen: number[] = []
    const consumer = queue.consume((n) => void seen.push(n))
    await expect.poll(() => seen, { timeout: 10_000 }).toEqual([0, 1, 2])
    await queue.send(5)
    await expect.poll(() => seen, { timeout: 10_000 }).toEqual([0, 1, 2, 5])
    await consumer.close()
  })

  test('a stream that somebody deletes under a consumer is made again, and it goes on', async () => {
    const name = `gone-${randomUUID()}`
    const queue = (await broker(server.url())).queue(defineQueue<number>(name))
    const seen: number[] = []
    const troubles: unknown[] = []
    const consumer = queue.consume((n) => void seen.push(n), {
      onError: (error) => void troubles.push(error),
    })
    await consumer.ready
    await queue.send(1)
    await expect.poll(() => seen, { timeout: 10_000 }).toEqual([1])
    await (await jetstreamManager(raw)).streams.delete(`msgloop-${name}`)
    await expect.poll(() => troubles.length, { timeout: 20_000 }).toBeGreaterThan(0)
    await queue.send(2)
    await expect.poll(() => seen, { timeout: 20_000 }).toEqual([1, 2])
    await consumer.close()
  })
})

test('a server without JetStream is UNSUPPORTED, and the error says what to do', async () => {
  const server = await startNats('nats:2.15', [], { jetStream: false })
  const broker = createBroker(await openDriver(server.url()))
  const error = await errorOf(() => broker.connect())
  expect(error).toMatchObject({ code: 'UNSUPPORTED', retryable: false })
  expect(error.message).toMatch(/JetStream is not enabled.*"-js"/)
  await broker.close()
  await server.stop()
})
