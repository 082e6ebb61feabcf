import type { Inbox, MemoryTransaction } from '@msgloop/core'
import { memoryInbox } from '@msgloop/core'

/**
 * An inbox, and a store for effects beside it that the suite can count in. `Tx` is whatever its handlers are
 * given; the suite hands it back and never looks inside.
 */
export interface InboxBed<Tx = unknown> {
  /** Why an effect is not in the transaction of the mark, where it is not: then it stays after a failed attempt. */
  readonly apart?: string
  /** Another client of the inbox of that name, like that of another process. The bed closes it. */
  open(name: string): Inbox<Tx> | Promise<Inbox<Tx>>
  /** Adds 1 to what is counted under `key`, in the transaction. */
  effect(tx: Tx, key: string): Promise<void>
  /** How many effects of `key` are stored. */
  count(key: string): Promise<number>
}

export interface MemoryBedOptions {
  /** Puts something between the suite and the inbox: a broken one is to be caught. */
  readonly wrap?: (inbox: Inbox<MemoryTransaction>) => Inbox<MemoryTransaction>
}

/** The inbox of the core, for a harness whose broker is what is tested. */
export function memoryInboxBed({
  wrap = (inbox) => inbox,
}: MemoryBedOptions = {}): InboxBed<MemoryTransaction> {
  const inboxes = new Map<string, Inbox<MemoryTransaction>>()
  const counts = new Map<string, number>()
  return {
    open(name) {
      const inbox = inboxes.get(name) ?? memoryInbox({ name })
      inboxes.set(name, inbox)
      return wrap(inbox)
    },
    async effect(tx, key) {
      tx.onCommit(() => counts.set(key, (counts.get(key) ?? 0) + 1))
    },
    count: async (key) => counts.get(key) ?? 0,
  }
}
