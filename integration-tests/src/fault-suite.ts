import { randomUUID } from 'node:crypto'
import type { Broker, Consumer, Queue } from '@msgloop/core'
import { MsgloopError } from '@msgloop/core'
import { connect } from 'msgloop'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { faultQueue } from './fault-queue.js'
import { Ledger } from './ledger.js'
import { startLoad } from './load.js'
import type { Endpoint } from './tcp-proxy.js'
import { tcpProxy } from './tcp-proxy.js'
import { startWorker } from './worker-process.js'

/** 20 were measured; a run of CI, which takes them all together, has time for fewer. */
const ROUNDS = Number(process.env.FAULT_ROUNDS ?? 8)

export interface FaultyServer extends Endpoint {
  url(through?: Endpoint): string
  killAndStart(): Promise<void>
  pause(): Promise<void>
  unpause(): Promise<void>
  stop(): Promise<void>
}

export interface FaultSuiteOptions {
  readonly start: () => Promise<FaultyServer>
  /** Appended to the URL where the broker is paused: what makes the client notice within seconds. */
  readonly pausedUrl?: (url: string) => string
  /** Longest time after the last fault in which everything must have been processed. */
  readonly drainMs?: number
  /** Longest time before the first kill, for brokers that write a new queue down late. */
  readonly declaredMs?: number
  /** Why the broker's own SIGKILL proves nothing, where it does. */
  readonly noServerKill?: string
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const report = (what: string, ledger: Ledger): boolean =>
  process.stdout.write(`  ${what}: ${ledger.summary()}\n`)

/** Kills, restarts, cuts and freezes a real broker and its clients under load, and counts every message. */
export function describeFaults(name: string, options: FaultSuiteOptions): void {
  describe(`faults of a real ${name}`, () => {
    let server: FaultyServer
    let ledger: Ledger
    let queueName: string
    const open: { close(): Promise<void> }[] = []
    const drainMs = options.drainMs ?? 60_000

    const broker = async (url: string): Promise<Broker> => {
      const opened = await connect(url)
      open.push(opened)
      return opened
    }
    /** Fails every tenth first attempt, so that retries are under way during every fault. */
    const consume = (queue: Queue<{ n: number }>): Consumer =>
      queue.consume(
        ({ n }, message) => {
          if (n % 10 === 0 && message.attempt === 1) throw new Error('every tenth fails once')
          ledger.processed(message.id)
        },
        { concurrency: 16, onError: () => {} },
      )

    beforeAll(async () => {
      server = await options.start()
    })
    afterAll(async () => {
      await server?.stop()
    })
    beforeEach(() => {
      ledger = new Ledger()
      queueName = `faults-${randomUUID()}`
    })
    afterEach(async () => {
      // Last opened, first closed: a broker before the proxy it goes through.
      for (const each of open.splice(0).reverse()) await each.close()
    })

    const settleAndCheck = async (what: string): Promise<void> => {
      await ledger.settled(drainMs)
      report(`${name}, ${what}`, ledger)
      expect(ledger.missing()).toEqual([])
      expect(ledger.impossible()).toEqual([])
      expect(ledger.confirmed.size).toBeGreaterThan(0)
    }

    test(`nothing confirmed is lost when a consumer is SIGKILLed, ${ROUNDS} times`, {
      timeout: 300_000,
    }, async () => {
      const queue = (await broker(server.url())).queue(faultQueue(queueName))
      await queue.send({ n: -1 }, { id: 'first' })
      ledger.confirmed.add('first')
      const start = () => startWorker(server.url(), queueName, (id) => ledger.processed(id))
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
    }, async (context) => {
      if (options.noServerKill) context.skip(options.noServerKill)
      const queue = (await broker(server.url())).queue(faultQueue(queueName))
      const consumer = consume((await broker(server.url())).queue(faultQueue(queueName)))
      await consumer.ready
      const load = startLoad(queue, ledger, 'm')
      await pause(options.declaredMs ?? 0)
      for (let round = 0; round < ROUNDS; round++) {
        await pause(300 + Math.random() * 1_000)
        await server.killAndStart()
      }
      await pause(1_000)
      await load.stop()
      await settleAndCheck(`${ROUNDS} broker restarts`)
      await queue.delete()
    })

    test('nothing confirmed is lost when TCP connections are cut, 30 times', {
      timeout: 300_000,
    }, async () => {
      const proxy = await tcpProxy(server)
      open.push(proxy)
      const queue = (await broker(server.url(proxy))).queue(faultQueue(queueName))
      const consumer = consume((await broker(server.url(proxy))).queue(faultQueue(queueName)))
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

    test('sends and consumers outlive a broker that is frozen for 8 s', { timeout: 300_000 }, async () => {
      const url = options.pausedUrl?.(server.url()) ?? server.url()
      const sending = await broker(url)
      const queue = sending.queue(faultQueue(queueName))
      const consumer = consume((await broker(url)).queue(faultQueue(queueName)))
      await consumer.ready
      const load = startLoad(queue, ledger, 'm')
      await pause(1_000)
      await server.pause()
      expect(await sending.health({ timeout: '2s' })).toMatchObject({ status: 'down' })
      await pause(6_000)
      await server.unpause()
      await pause(1_000)
      await expect.poll(() => sending.health(), { timeout: 10_000 }).toMatchObject({ status: 'up' })
      await load.stop()
      await settleAndCheck('frozen for 8 s')
      await queue.delete()
    })

    test('a send to a broker that is down ends within its sendTimeout, and what it says of the message is true', {
      timeout: 120_000,
    }, async () => {
      const proxy = await tcpProxy(server)
      open.push(proxy)
      const queue = (await broker(server.url(proxy))).queue(faultQueue(queueName, '3s'))
      await queue.send({ n: 1 })
      proxy.down()
      await pause(200)
      const begun = Date.now()
      const error: unknown = await queue.send({ n: 2 }).catch((thrown) => thrown)
      // Where its time ends amid an attempt nothing is known of that one.
      const outcome = expect.stringMatching(/^(rejected|unknown)$/)
      expect(error).toMatchObject({ code: 'TIMEOUT', outcome })
      expect(Date.now() - begun).toBeLessThan(4_000)
      proxy.up()
      await queue.send({ n: 3 })
      const seen = new Set<number>()
      const consumer = queue.consume(({ n }) => void seen.add(n))
      await expect.poll(() => seen.has(1) && seen.has(3), { timeout: 20_000 }).toBe(true)
      await consumer.close()
      if (error instanceof MsgloopError && error.outcome === 'rejected') expect(seen).not.toContain(2)
      await queue.delete()
    })
  })
}
