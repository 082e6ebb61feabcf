import { randomUUID } from 'node:crypto'
import type { Broker, SubscriptionOptions } from '@msgloop/core'
import { defineTopic, fixed, MsgloopError } from '@msgloop/core'
import { connect } from 'msgloop'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { faultQueue } from './fault-queue.js'
import type { FaultSuiteOptions, FaultyServer } from './fault-suite.js'
import { Ledger, outcomeOf } from './ledger.js'
import { startLanes } from './load.js'
import { tcpProxy } from './tcp-proxy.js'

/** Restarts of the broker; those of a queue are counted by the other suite. */
const ROUNDS = Math.min(Number(process.env.FAULT_ROUNDS ?? 20), 5)
const CUTS = 20
/** What a request may end with while the broker goes and comes. */
const ENDS = new Set(['answered', 'TIMEOUT', 'CONNECTION_LOST', 'UNREACHABLE', 'BUSY'])
const REQUEST_MS = 3_000
/** A request that ends so much later than its timeout hangs. */
const GRACE_MS = 2_000

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const SUBSCRIPTION: SubscriptionOptions = {
  retry: fixed({ attempts: 100, delay: '200ms' }),
  maxDeliveries: 300,
  lease: '5s',
}

/** A subscription, and what it must have got. */
interface Reader {
  readonly name: string
  readonly patterns: readonly string[]
  readonly gets: (n: number) => boolean
  /** It has no consumer before the faults are over: what it gets must be kept. */
  readonly later?: true
  readonly ledger: Ledger
}

/** Kills, restarts and cuts a real broker under topics and requests, and counts. */
export function describeTopicFaults(name: string, options: FaultSuiteOptions): void {
  describe(`faults of a real ${name} under topics and requests`, () => {
    let server: FaultyServer
    let id: string
    const open: { close(): Promise<void> }[] = []

    const broker = async (url: string): Promise<Broker> => {
      const opened = await connect(url)
      open.push(opened)
      return opened
    }

    beforeAll(async () => {
      server = await options.start()
    })
    afterAll(async () => {
      await server?.stop()
    })
    beforeEach(() => {
      id = randomUUID()
    })
    afterEach(async () => {
      for (const each of open.splice(0).reverse()) await each.close()
    })

    const publishThrough = async (url: string, fault: () => Promise<void>, what: string): Promise<void> => {
      const definition = defineTopic<{ n: number }>(`t-${id}`)
      const readers: Reader[] = [
        { name: 'all', patterns: ['#'], gets: () => true, ledger: new Ledger() },
        { name: 'even', patterns: ['even.*', 'n.even'], gets: (n) => n % 2 === 0, ledger: new Ledger() },
        { name: 'later', patterns: ['*.#'], gets: () => true, later: true, ledger: new Ledger() },
      ]
      const consuming = (await broker(url)).topic(definition)
      const consume = ({ name: reader, patterns, ledger }: Reader) =>
        consuming.subscription(reader, { ...SUBSCRIPTION, patterns }).consume(
          ({ n }, message) => {
            if (n % 10 === 0 && message.attempt === 1) throw new Error('every tenth fails once')
            ledger.processed(message.id)
          },
          { onError: () => {} },
        )
      for (const { name: reader, patterns } of readers)
        await consuming.subscription(reader, { ...SUBSCRIPTION, patterns }).create()
      await Promise.all(readers.filter(({ later }) => !later).map((reader) => consume(reader).ready))
      const topic = (await broker(url)).topic(definition)
      const load = startLanes(async (n) => {
        const message = `m-${n}`
        const subject = n % 2 === 0 ? 'even.n' : 'odd.n'
        const outcome = await outcomeOf(topic.publish(subject, { n }, { id: message }))
        for (const { gets, ledger } of readers) if (gets(n)) ledger.book(message, outcome)
      }, 16)
      await fault()
      await load.stop()
      for (const reader of readers) if (reader.later) consume(reader)
      for (const { name: reader, ledger } of readers) {
        await ledger.settled(options.drainMs ?? 60_000)
        process.stdout.write(`  ${name}, ${what}, subscription ${reader}: ${ledger.summary()}\n`)
        expect(ledger.missing()).toEqual([])
        expect(ledger.impossible()).toEqual([])
        expect(ledger.confirmed.size).toBeGreaterThan(0)
      }
      for (const { name: reader } of readers) await consuming.subscription(reader).delete()
      await topic.delete()
    }

    test(`no subscription loses what was published when the broker is killed and restarted, ${ROUNDS} times`, {
      timeout: 600_000,
    }, async (context) => {
      if (options.noServerKill) context.skip(options.noServerKill)
      if (!(await broker(server.url())).capabilities.topics) context.skip('there are no topics')
      const restarts = async (): Promise<void> => {
        await pause(options.declaredMs ?? 0)
        for (let round = 0; round < ROUNDS; round++) {
          await pause(300 + Math.random() * 1_000)
          await server.killAndStart()
        }
        await pause(1_000)
      }
      await publishThrough(server.url(), restarts, `${ROUNDS} broker restarts`)
    })

    test(`no subscription loses what was published when connections are cut, ${CUTS} times`, {
      timeout: 300_000,
    }, async (context) => {
      if (!(await broker(server.url())).capabilities.topics) context.skip('there are no topics')
      const proxy = await tcpProxy(server)
      open.push(proxy)
      const cuts = async (): Promise<void> => {
        for (let round = 0; round < CUTS; round++) {
          await pause(100 + Math.random() * 300)
          proxy.cut()
        }
      }
      await publishThrough(server.url(proxy), cuts, `${CUTS} cuts`)
    })

    test(`every request ends in time while connections are cut, ${CUTS} times, and afterwards it is answered`, {
      timeout: 300_000,
    }, async (context) => {
      if (!(await broker(server.url())).capabilities.replies) context.skip('there is no request-reply')
      const proxy = await tcpProxy(server)
      open.push(proxy)
      const definition = faultQueue(`q-${id}`)
      const answering = (await broker(server.url(proxy))).queue(definition)
      const consumer = answering.consume(({ n }) => ({ n: n * 2 }), { onError: () => {} })
      await consumer.ready
      const queue = (await broker(server.url(proxy))).queue(definition)
      const ends = new Map<string, number>()
      const ask = async (n: number): Promise<void> => {
        const begun = Date.now()
        const end = await queue.request<{ n: number }>({ n }, { timeout: REQUEST_MS }).then(
          (answer) => {
            expect(answer).toEqual({ n: n * 2 })
            return 'answered'
          },
          (error: unknown) => (error instanceof MsgloopError ? error.code : String(error)),
        )
        ends.set(end, (ends.get(end) ?? 0) + 1)
        expect(Date.now() - begun).toBeLessThan(REQUEST_MS + GRACE_MS)
      }
      const load = startLanes(ask, 16)
      for (let round = 0; round < CUTS; round++) {
        await pause(200 + Math.random() * 400)
        proxy.cut()
      }
      await load.stop()
      process.stdout.write(`  ${name}, requests: ${JSON.stringify(Object.fromEntries(ends))}\n`)
      expect([...ends.keys()].filter((end) => !ENDS.has(end))).toEqual([])
      expect(ends.get('answered')).toBeGreaterThan(0)
      await expect
        .poll(() => queue.request({ n: 21 }, { timeout: REQUEST_MS }).catch(String), { timeout: 30_000 })
        .toEqual({ n: 42 })
      await queue.delete()
    })
  })
}
