import { rabbitmq } from '@msgloop/adapter-rabbitmq'
import { createBroker, defineQueue, Reject } from '@msgloop/core'
import type { Driver } from '@msgloop/core/driver'
import { test } from 'vitest'
import { NEWEST_AND_OLDEST, startRabbitmq } from '../rabbitmq-server.js'

const IDLE_MS = 30_000
/** A consumer that is quiet asks every 3 s whether the broker still knows it. */
const CHECKS = 7
const SOON = { timeout: 20_000 }

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** A driver that writes down by queue how often receivers are opened, and how often it is asked for numbers. */
function noted(inner: Driver): Driver & { readonly opened: string[]; readonly counted: string[] } {
  const opened: string[] = []
  const counted: string[] = []
  const { name, address, capabilities, admin } = inner
  return {
    opened,
    counted,
    name,
    address,
    capabilities,
    admin: {
      declare: (topology, signal) => admin.declare(topology, signal),
      verify: (topology, signal) => admin.verify(topology, signal),
      stats(source, signal) {
        counted.push(source.name)
        return admin.stats(source, signal)
      },
      purge: (source, signal) => admin.purge(source, signal),
      delete: (topology, signal) => admin.delete(topology, signal),
    },
    connect: (signal) => inner.connect(signal),
    openSender: (destination, signal) => inner.openSender(destination, signal),
    openReceiver(source, options, signal) {
      opened.push(source.name)
      return inner.openReceiver(source, options, signal)
    },
    classify: (error) => inner.classify(error),
    native: () => inner.native(),
    close: () => inner.close(),
  }
}

/** The check for consumers that the broker has forgotten must not take an idle one for one of those. */
test.concurrent.for(NEWEST_AND_OLDEST)(
  'consumers that are idle for 30 s neither report nor consume afresh on %s',
  {
    timeout: 180_000,
  },
  async (image, { expect, onTestFinished }) => {
    const server = await startRabbitmq(image)
    onTestFinished(() => server.stop())
    const driver = noted(rabbitmq({ url: server.url() }))
    const broker = createBroker(driver)
    onTestFinished(() => broker.close({ timeout: 1_000 }))
    const troubles: unknown[] = []
    const onError = (error: unknown): void => void troubles.push(error)
    const handled: string[] = []
    let release = (): void => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const handler = async (body: string): Promise<void> => {
      if (body === 'hold') await held
      handled.push(body)
    }
    const make = (name: string) => broker.queue(defineQueue<string>(name))

    const [empty, shared, partly, full, later, failed] = [
      make('empty'),
      make('shared'),
      make('partly'),
      make('full'),
      make('later'),
      make('failed'),
    ] as const
    const dying = failed.consume(() => {
      throw new Reject('to have a dead letter')
    })
    await failed.send('dead')
    await expect.poll(async () => (await failed.stats()).dead, SOON).toBe(1)
    await dying.close()
    await later.send('in ten minutes', { delay: '10m' })
    await partly.send('hold')
    for (const body of ['hold', 'waits', 'waits']) await full.send(body)
    const consumers = [
      empty.consume(handler, { onError }),
      shared.consume(handler, { onError }),
      shared.consume(handler, { onError, prefetch: 8 }),
      // One of its slots is taken, and nothing is there for the others.
      partly.consume(handler, { onError, concurrency: 4 }),
      // No slot is free, and the broker has more.
      full.consume(handler, { onError, concurrency: 1 }),
      later.consume(handler, { onError }),
      failed.deadLetters.queue.consume(handler, { onError }),
    ]
    await Promise.all(consumers.map(({ ready }) => ready))
    await expect.poll(() => handled, SOON).toEqual(['dead'])
    const opened = [...driver.opened]
    driver.counted.length = 0

    await pause(IDLE_MS)

    expect(troubles).toEqual([])
    expect(driver.opened).toEqual(opened)
    for (const name of ['empty', 'shared', 'partly', 'later', 'failed.dlq'])
      expect(driver.counted.filter((each) => each === name).length, name).toBeGreaterThanOrEqual(CHECKS)
    expect(consumers.map(({ state }) => state)).toEqual(consumers.map(() => 'running'))

    release()
    for (const queue of [empty, shared, partly, full, later]) await queue.send(`to ${queue.name}`)
    await expect.poll(() => handled.length, SOON).toBe(10)
    expect(driver.opened).toEqual(opened)
    expect(troubles).toEqual([])
  },
)
