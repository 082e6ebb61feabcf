import type { MemoryOptions } from '@msgloop/adapter-memory'
import { memory, memoryFaults } from '@msgloop/adapter-memory'
import type { Driver, QueueSpec } from '@msgloop/core/driver'
import type { Harness } from './src/harness.js'
import { memoryInboxBed } from './src/inbox-bed.js'

let made = 0

/** A memory broker of its own, shared by every driver of the harness. */
export function memoryHarness(options: Pick<MemoryOptions, 'emulate'> = {}): Harness {
  const { emulate } = options
  const run = ++made
  const settings = { name: `conformance-${process.pid}-${run}`, ...(emulate && { emulate }) }
  // A named broker is forgotten when its last driver closes; this one keeps it.
  const keeper = memory(settings)
  let queues = 0
  return {
    adapter: emulate ? `memory as ${emulate}` : 'memory',
    version: '',
    openDriver: () => memory(settings),
    inbox: memoryInboxBed(),
    unique: (prefix) => `${prefix}-${run}-${++queues}`,
    async disconnect(driver) {
      memoryFaults(driver).disconnect()
    },
    async outage(driver) {
      const faults = memoryFaults(driver)
      faults.down()
      return async () => faults.up()
    },
    async sendForeign(queue, { id, ...message }) {
      const sender = await keeper.openSender(specOf(queue), never)
      const native = { headers: {}, timestamp: 0, id: id ?? `native-${++queues}`, ...message }
      const failures = await sender.send([{ delayMs: 0, message: native }], never)
      await sender.close()
      if (failures[0]) throw failures[0].error
    },
    async declareDrifted(queue) {
      const { deadLetter: _, deliveryLimit: __, ...deadLetter } = specOf(`${queue}.dlq`)
      await keeper.admin.declare({ ...deadLetter, role: 'dead-letter' }, never)
      await keeper.admin.declare({ ...specOf(queue), deadLetter: `${queue}.dlq`, deliveryLimit: 7 }, never)
    },
    close: () => keeper.close(),
  }
}

/** A harness whose drivers all pass through `decorate`. */
export function decoratedHarness(inner: Harness, decorate: (driver: Driver) => Driver): Harness {
  const originals = new WeakMap<Driver, Driver>()
  const original = (driver: Driver): Driver => originals.get(driver) ?? driver
  const { disconnect, outage } = inner
  return {
    ...inner,
    async openDriver() {
      const driver = await inner.openDriver()
      const decorated = decorate(driver)
      originals.set(decorated, driver)
      return decorated
    },
    ...(disconnect && { disconnect: (driver) => disconnect(original(driver)) }),
    ...(outage && { outage: (driver) => outage(original(driver)) }),
  }
}

const never = new AbortController().signal

function specOf(name: string): QueueSpec {
  return {
    kind: 'queue',
    role: 'work',
    name,
    deadLetter: `${name}.dlq`,
    deliveryLimit: 100,
    leaseMs: 30_000,
    dedupWindowMs: 0,
    order: 'none',
  }
}
