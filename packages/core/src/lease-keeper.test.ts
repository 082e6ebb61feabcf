import { expect, test } from 'vitest'
import { memory } from '../../adapter-memory/src/index.js'
import { createBroker } from './create-broker.js'
import { defineQueue } from './define-queue.js'
import type { Driver } from './driver.js'
import { manualClock } from './testing/index.js'

/** The driver of a broker that answers everything but renewals. */
function withoutRenewals(driver: Driver): Driver {
  const { name, address, capabilities, admin } = driver
  return {
    name,
    address,
    capabilities,
    admin,
    connect: (signal) => driver.connect(signal),
    openSender: (destination, signal) => driver.openSender(destination, signal),
    async openReceiver(source, options, signal) {
      const receiver = await driver.openReceiver(source, options, signal)
      return {
        receive: (max, waitMs, abort) => receiver.receive(max, waitMs, abort),
        settle: (batch, abort) => receiver.settle(batch, abort),
        extend: () => new Promise(() => {}),
        stop: () => receiver.stop(),
        close: () => receiver.close(),
      }
    },
    classify: (error) => driver.classify(error),
    native: () => driver.native(),
    close: () => driver.close(),
  }
}

test('a renewal that is never answered ends with its lease: the message goes on, and its slot is free', async () => {
  const clock = manualClock()
  const broker = createBroker(withoutRenewals(memory({ clock })), { clock, random: () => 0 })
  const queue = broker.queue(defineQueue<number>('q', { lease: '3s' }))
  const signals: AbortSignal[] = []
  let end = (): void => {}
  const consumer = queue.consume(
    (_body, { signal }) => {
      signals.push(signal)
      if (signals.length > 1) return
      return new Promise<void>((resolve) => {
        end = resolve
      })
    },
    { concurrency: 1 },
  )
  await consumer.ready
  await queue.send(1)
  await clock.advance(1_500)
  // A renewal is under way now, and the settlement waits for it.
  end()
  await clock.advance(2_500)
  expect(signals[0]?.reason).toMatchObject({ code: 'LEASE_LOST' })
  expect(signals.length).toBe(2)
  expect(consumer.running).toBe(0)
  expect(await queue.stats()).toMatchObject({ ready: 0, inFlight: 0 })
  await broker.close()
})
