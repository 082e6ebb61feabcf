import { randomUUID } from 'node:crypto'
import { memory } from '@msgloop/adapter-memory'
import type { Harness, InboxBed } from '@msgloop/conformance'

/** The embedded broker, for what is not about brokers. */
export function memoryHarness(adapter: string, version: string, inbox: InboxBed): Harness {
  const name = `inbox-${randomUUID()}`
  // A named broker is forgotten when its last driver closes; this one keeps it.
  const keeper = memory({ name })
  return {
    adapter,
    version,
    inbox,
    openDriver: () => memory({ name }),
    unique: (prefix) => `${prefix}-${randomUUID()}`,
    close: () => keeper.close(),
  }
}
