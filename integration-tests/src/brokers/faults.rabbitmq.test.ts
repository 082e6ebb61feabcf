import { randomUUID } from 'node:crypto'
import { rabbitmq } from '@msgloop/adapter-rabbitmq'
import type { Broker, Consumer, Queue } from '@msgloop/core'
import { createBroker, defineQueue, fixed } from '@msgloop/core'
import type { Driver } from '@msgloop/core/driver'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Ledger } from '../ledger.js'
import { startLoad } from '../load.js'
import type { RabbitmqServer } from '../rabbitmq-server.js'
import { startRabbitmq } from '../rabbitmq-server.js'
import type { TcpProxy } from '../tcp-proxy.js'
import { tcpProxy } from '../tcp-proxy.js'
import { startWorker } from '../worker-process.js'

/** The issue asks for 20; fewer can be asked for while working on it. */
const ROUNDS = Number(process.env.FAULT_ROUNDS ?? 20)
/**
 * After a SIGKILL the dead-letter worker of a delay level may run before the broker has recovered its
 * exchanges; it then tries again after `dead_letter_worker_publisher_confirm_timeout`, 3 min by default.
 */
const DRAIN_MS = 240_000
/**
 * RabbitMQ writes down the members of a new quorum queue within half a second or so; one that is killed
 * earlier has forgotten the queue for good. That is the broker's, and not what is tested here.
 */
const DECLARED_MS = 3_000

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const report = (what: string, ledger: Ledger): boolean =>
  process.stdout.write(`  ${what}: ${ledger.summary()}\n`)

const definition = (name: string, sendTimeout: '30s' | '3s' = '30s') =>
  defineQueue<{ n: number }>(name, { retry: fixed({ attempts: 5, delay: '200ms' }), sendTimeout })

describe('faults of a real RabbitMQ', () => {
  let server: RabbitmqServer
  let ledger: Ledger
  let name: string
  const open: { close(): Promise<void> }[] = []

  const broker = (url: string): Broker => {
    const opened = createBroker(rabbitmq({ url }))
    open.push(opened)
    return opened
  }
  /** Fails every tenth first attempt, so that retries are under way during every fault. */
  const consume = (queue: Queue<{ n: number }>, errors: unknown[] = []): Consumer =>
    queue.consume(
      ({ n }, message) => {
        if (n % 10 === 0 && message.attempt === 1) throw new Error('every tenth fails once')
        ledger.processed(message.id)
      },
      { concurrency: 16, onError: (error) => errors.push(error) },
    )

  beforeAll(async () => {
    server = await startRabbitmq('rabbitmq:4-management')
  })
  afterAll(async () => {
    await server?.stop()
  })
  beforeEach(() => {
    ledger = new Ledger()
    name = `faults-${randomUUID()}`
  })
  afterEach(async () => {
    // Last opened, first closed: a broker before the proxy it goes through.
    for (const each of open.splice(0).reverse()) await each.close()
  })

  const settleAndCheck = async (what: string): Promise<void> => {
    await ledger.settled(DRAIN_MS)
    report(what, ledger)
    expect(ledger.missing()).toEqual([])
    expect(ledger.impossible()).toEqual([])
    expect(ledger.confirmed.size).toBeGreaterThan(0)
  }

  test(`nothing confirmed is lost when a consumer is SIGKILLed, ${ROUNDS} times`, {
    timeout: 300_000,
  }, async () => {
    const queue = broker(server.url()).queue(definition(name))
    await queue.send({ n: -1 }, { id: 'first' })
    ledger.confirmed.add('first')
    const start = () => startWorker(server.url(), name, (id) => ledger.processed(id))
    const survivor = await start()
    const load = startLoad(queue, ledger, 'm')
    for (let round = 0; round < ROUNDS; round++) {
      const victim = await start()
      await pause(50 + Math.random() * 400)
      await victim.kill()
    }
    await load.stop()
    await settleAndCheck(`${ROUNDS} consumers killed`)
    expect(await survivor.end()).toBe(0)
    await queue.delete()
  })

  test(`nothing confirmed is lost when the broker is killed and restarted under load, ${ROUNDS} times`, {
    timeout: 1_200_000,
  }, async () => {
    const queue = broker(server.url()).queue(definition(name))
    const consumer = consume(broker(server.url()).queue(definition(name)))
    await consumer.ready
    const load = startLoad(queue, ledger, 'm')
    await pause(DECLARED_MS)
    for (let round = 0; round < ROUNDS; round++) {
      await pause(300 + Math.random() * 1_000)
      await server.killAndStart()
    }
    await pause(1_000)
    await load.stop()
    await settleAndCheck(`${ROUNDS} broker restarts`)
    await queue.delete()
  })

  test('nothing confirmed is lost when TCP connections are cut, 30 times', { timeout: 300_000 }, async () => {
    const proxy = await proxied()
    const queue = broker(server.url(proxy)).queue(definition(name))
    const consumer = consume(broker(server.url(proxy)).queue(definition(name)))
    await consumer.ready
    const load = startLoad(queue, ledger, 'm')
    for (let round = 0; round < 30; round++) {
      await pause(100 + Math.random() * 300)
      proxy.cut()
    }
    await load.stop()
    await settleAndCheck('30 cuts')
    await queue.delete()
  })

  test('sends and consumers outlive a broker that is paused for longer than the heartbeat', {
    timeout: 300_000,
  }, async () => {
    const url = server.url(server, '?heartbeat=2')
    const sending = broker(url)
    const queue = sending.queue(definition(name))
    const consumer = consume(broker(url).queue(definition(name)))
    await consumer.ready
    const load = startLoad(queue, ledger, 'm')
    await pause(1_000)
    await server.pause()
    expect(await sending.health({ timeout: '2s' })).toMatchObject({ status: 'down' })
    await pause(6_000)
    await server.unpause()
    await pause(1_000)
    expect(await sending.health()).toMatchObject({ status: 'up' })
    await load.stop()
    await settleAndCheck('paused for 8 s with a heartbeat of 2 s')
    await queue.delete()
  })

  test('a send to a broker that is down ends within its sendTimeout, as rejected', {
    timeout: 120_000,
  }, async () => {
    const proxy = await proxied()
    const queue = broker(server.url(proxy)).queue(definition(name, '3s'))
    await queue.send({ n: 1 })
    proxy.down()
    await pause(200)
    const begun = Date.now()
    await expect(queue.send({ n: 2 })).rejects.toMatchObject({ code: 'TIMEOUT', outcome: 'rejected' })
    expect(Date.now() - begun).toBeLessThan(4_000)
    proxy.up()
    await queue.send({ n: 3 })
    await queue.delete()
  })

  test('a blocked connection holds sends back and lets consumers go on', { timeout: 120_000 }, async () => {
    const queue = broker(server.url()).queue(definition(name, '3s'))
    for (let n = 1; n < 40; n++) await ledger.send(queue, { n }, `before-${n}`)
    await server.rabbitmqctl('set_vm_memory_high_watermark', 'absolute', '1MB')
    try {
      // The alarm is raised by the next check, and told to a connection when it next publishes.
      let blocked: unknown
      for (let n = 1; !blocked && n < 2_000; n++) {
        await queue.send({ n }, { id: `during-${n}` }).then(
          () => ledger.confirmed.add(`during-${n}`),
          (error) => {
            blocked = error
          },
        )
      }
      expect(blocked).toMatchObject({ code: 'TIMEOUT' })
      // n is never a multiple of ten here that fails, so no copy has to be published to process them.
      const done = broker(server.url())
        .queue(definition(name))
        .consume((_body, message) => ledger.processed(message.id))
      await ledger.settled(20_000)
      await done.close()
    } finally {
      await server.rabbitmqctl('set_vm_memory_high_watermark', '0.6')
    }
    await queue.send({ n: 1 })
    await queue.delete()
  })

  test('a channel closed by the server fails only what was on it', { timeout: 120_000 }, async () => {
    const driver = rabbitmq({ url: server.url() })
    const { limits } = driver.capabilities
    // A driver that promises too much makes the server close the channel with 406.
    const bodyBytes = limits.bodyBytes * 2
    const liar: Driver = {
      name: driver.name,
      address: driver.address,
      capabilities: { ...driver.capabilities, limits: { ...limits, bodyBytes, sendBatchBytes: bodyBytes } },
      admin: driver.admin,
      connect: (signal) => driver.connect(signal),
      openSender: (destination, signal) => driver.openSender(destination, signal),
      openReceiver: (source, options, signal) => driver.openReceiver(source, options, signal),
      classify: (error) => driver.classify(error),
      native: () => driver.native(),
      close: () => driver.close(),
    }
    const opened = createBroker(liar)
    open.push(opened)
    const queue = opened.queue(defineQueue<string>(name, { sendTimeout: '10s' }))
    const seen: string[] = []
    const consumer = queue.consume((body) => seen.push(body))
    await consumer.ready
    await queue.send('before')
    await expect(queue.send('x'.repeat(limits.bodyBytes + 10))).rejects.toMatchObject({ code: 'TOO_LARGE' })
    await queue.send('after')
    await expect.poll(() => seen, { timeout: 10_000 }).toEqual(['before', 'after'])
    await queue.delete()
  })

  async function proxied(): Promise<TcpProxy> {
    const proxy = await tcpProxy(server)
    open.push(proxy)
    return proxy
  }
})
