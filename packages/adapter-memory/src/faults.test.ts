import { expect, test } from 'vitest'
import {
  ack,
  bench,
  code,
  never,
  ORDERS,
  openReceiver,
  outgoing,
  settle,
  take,
  takeOne,
} from '../test-support.js'
import { memoryFaults } from './faults.js'
import { memory } from './memory.js'

test('a cut connection loses its receivers and returns what they held at once', async () => {
  const { driver, sender, send, receiver } = await bench()
  const losses: unknown[] = []
  const orders = await receiver({ onLost: (error) => losses.push(error) })
  await send('a')
  const a = await takeOne(orders)
  const waiting = orders.receive(1, 60_000, never).catch(code)
  await Promise.resolve()
  memoryFaults(driver).disconnect()
  memoryFaults(driver).disconnect()
  expect(losses.map(code)).toEqual(['CONNECTION_LOST'])
  expect(await waiting).toBe('CONNECTION_LOST')
  expect(await take(orders).catch(code)).toBe('CONNECTION_LOST')
  expect(await settle(orders, a, ack)).toBe('LEASE_LOST')
  await expect(sender.send([outgoing('b')], never)).rejects.toMatchObject({
    code: 'CONNECTION_LOST',
    outcome: 'rejected',
    retryable: true,
  })
  expect(await takeOne(await receiver())).toMatchObject({ message: { id: 'a' }, deliveries: 2 })
  await orders.close()
})

test('a stopped receiver that still holds deliveries is told of the cut; a closed one is not', async () => {
  const { driver, send, receiver } = await bench()
  const losses: string[] = []
  const stopped = await receiver({ onLost: () => losses.push('stopped') })
  const closed = await receiver({ onLost: () => losses.push('closed') })
  await send('a')
  await takeOne(stopped)
  await stopped.stop()
  await closed.close()
  memoryFaults(driver).disconnect()
  expect(losses).toEqual(['stopped'])
})

test('while the broker is down nothing reaches it, and afterwards all is as it was', async () => {
  const { driver, sender, send, receiver } = await bench()
  await send('a')
  const faults = memoryFaults(driver)
  faults.down()
  const unreachable = { code: 'UNREACHABLE', retryable: true, outcome: 'rejected' }
  await expect(driver.connect(never)).rejects.toMatchObject(unreachable)
  await expect(driver.openSender(ORDERS, never)).rejects.toMatchObject(unreachable)
  await expect(receiver()).rejects.toMatchObject(unreachable)
  await expect(sender.send([outgoing('b')], never)).rejects.toMatchObject(unreachable)
  await expect(driver.admin.stats(ORDERS, never)).rejects.toMatchObject(unreachable)
  faults.up()
  await driver.connect(never)
  expect(await takeOne(await receiver())).toMatchObject({ message: { id: 'a' }, deliveries: 1 })
})

test('faults of one driver do not reach another of the same broker', async () => {
  const { clock, driver, send } = await bench({ name: 'faulty' })
  const other = memory({ clock, name: 'faulty' })
  const orders = await openReceiver(other, ORDERS)
  await send('a')
  memoryFaults(driver).down()
  await settle(orders, await takeOne(orders), ack)
  await driver.close()
  await other.close()
})

test('an aborted signal ends a send before anything is stored', async () => {
  const { driver, sender } = await bench()
  await expect(sender.send([outgoing('a')], AbortSignal.abort())).rejects.toMatchObject({
    code: 'ABORTED',
    outcome: 'rejected',
  })
  expect(await driver.admin.stats(ORDERS, never)).toMatchObject({ ready: 0 })
})

test('a driver that memory() did not make is refused', async () => {
  const { driver } = await bench()
  expect(() => memoryFaults({ ...driver })).toThrow(/takes a driver made by memory\(\)/)
})

test('classify knows its own errors and nothing else', async () => {
  const { driver } = await bench()
  const own = await driver
    .openReceiver({ ...ORDERS, name: 'missing' }, options, never)
    .catch((error) => error)
  expect(driver.classify(own)).toEqual({ code: 'NOT_FOUND', retryable: false, outcome: 'rejected' })
  for (const foreign of [new Error('x'), 'x', undefined, { code: 'CLOSED' }])
    expect(driver.classify(foreign)).toEqual({ code: 'UNKNOWN', retryable: false })
})

const options = { prefetch: 1, leaseMs: 1_000, consumer: 'test', onLost: () => {} }
