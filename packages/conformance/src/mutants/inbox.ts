import type { Inbox, Mark, MemoryTransaction } from '@msgloop/core'

type MemoryInbox = Inbox<MemoryTransaction>

/** A way to break an inbox, and the cases that must notice. */
export interface InboxMutant {
  readonly id: string
  /** What it does wrong. */
  readonly fault: string
  /** Where the fault was seen in the wild. */
  readonly seenIn: string
  /** Ids of cases, each of which must fail on it. */
  readonly caughtBy: readonly string[]
  /** One fault for all clients of a run: what the returned function remembers, they share. */
  readonly make: () => (inbox: MemoryInbox) => MemoryInbox
}

/** The inbox as it is, but for what `change` replaces. */
const but =
  (change: (inner: MemoryInbox) => Partial<MemoryInbox>) =>
  () =>
  (inner: MemoryInbox): MemoryInbox => ({
    name: inner.name,
    check: () => inner.check(),
    run: (mark, work, signal) => inner.run(mark, work, signal),
    find: (mark, signal) => inner.find(mark, signal),
    ...change(inner),
  })

const never = new AbortController().signal

/** Effects of a transaction that nobody takes back: each is done when it is asked for. */
const AT_ONCE: MemoryTransaction = { onCommit: (effect) => effect() }

export const inboxMutants: readonly InboxMutant[] = [
  {
    id: 'inbox-marks-first',
    fault: 'marks a message before its handler runs',
    seenIn: 'Watermill deduplicator (H8): a failed attempt looks like a duplicate',
    caughtBy: ['X3-failed-is-no-duplicate', 'X3-rollback', 'X3-find'],
    make: but((inner) => ({
      async run(mark, work, signal) {
        const outcome = await inner.run(mark, async () => {}, signal)
        if (outcome === 'committed') await work(AT_ONCE)
        return outcome
      },
    })),
  },
  {
    id: 'inbox-never-marks',
    fault: 'marks nothing',
    seenIn: 'at-least-once by another name',
    caughtBy: ['X3-duplicate', 'X3-find', 'X3-expired'],
    make: () => {
      let made = 0
      return but((inner) => ({
        run: ({ queue }, work, signal) => inner.run({ queue, id: `never again ${++made}` }, work, signal),
      }))()
    },
  },
  {
    id: 'inbox-no-rollback',
    fault: 'keeps the effects of a handler that threw',
    seenIn: 'a mark in one connection and the effects in another',
    caughtBy: ['X3-rollback', 'X3-takes-over', 'X3-dead-letter'],
    make: but((inner) => ({
      run: (mark, work, signal) => inner.run(mark, () => work(AT_ONCE), signal),
    })),
  },
  {
    id: 'inbox-beside',
    fault: 'looks for the mark, then runs: two deliveries run side by side',
    seenIn: 'SELECT before INSERT without a lock',
    caughtBy: ['X3-never-beside', 'X3-storm'],
    make: but((inner) => ({
      async run(mark, work, signal) {
        if ((await inner.find(mark, signal)) === 'marked') return 'duplicate'
        const effects: (() => void)[] = []
        await work({ onCommit: (effect) => void effects.push(effect) })
        signal.throwIfAborted()
        for (const effect of effects) effect()
        await inner.run(mark, async () => {}, signal)
        return 'committed'
      },
    })),
  },
  {
    id: 'inbox-ignores-abort',
    fault: 'commits though the lease is lost',
    seenIn: 'a transaction that does not know of the delivery',
    caughtBy: ['X3-aborted'],
    make: but((inner) => ({ run: (mark, work) => inner.run(mark, work, never) })),
  },
  {
    id: 'inbox-one-namespace',
    fault: 'marks by id alone, whatever the queue',
    seenIn: 'a table with one column',
    caughtBy: ['X3-queues-apart'],
    make: () => {
      const everywhere = ({ id }: Mark): Mark => ({ queue: '', id })
      return but((inner) => ({
        run: (mark, work, signal) => inner.run(everywhere(mark), work, signal),
        find: (mark, signal) => inner.find(everywhere(mark), signal),
      }))()
    },
  },
  {
    id: 'inbox-shared-name',
    fault: 'shares its marks with inboxes of every other name',
    seenIn: 'a table without the name of the service',
    caughtBy: ['X3-inboxes-apart'],
    make: () => {
      let first: MemoryInbox | undefined
      return (inner) => {
        first ??= inner
        return first
      }
    },
  },
  {
    id: 'inbox-finds-nothing',
    fault: 'says of every message that it was not handled',
    seenIn: 'a look at a replica that is behind',
    caughtBy: ['X3-expired', 'X3-crash-loop', 'X3-find'],
    make: but(() => ({ find: async () => 'unmarked' })),
  },
  {
    id: 'inbox-swallows',
    fault: 'commits the effects of a handler that threw, and says that all went well',
    seenIn: 'a catch around the handler',
    caughtBy: ['X3-rollback', 'X3-dead-letter', 'X3-failed-is-no-duplicate'],
    make: but((inner) => ({
      run: (mark, work, signal) => inner.run(mark, (tx) => work(tx).catch(() => {}), signal),
    })),
  },
  {
    id: 'inbox-mark-outlives-failure',
    fault: 'takes a message that is running, or that failed, for one that was handled',
    seenIn: 'INSERT of the mark committed before the effects',
    caughtBy: ['X3-failed-is-no-duplicate', 'X3-takes-over'],
    make: () => {
      const seen = new Set<string>()
      return but((inner) => ({
        async run(mark, work, signal) {
          const key = `${mark.queue} ${mark.id}`
          if (seen.has(key)) return 'duplicate'
          seen.add(key)
          return await inner.run(mark, work, signal)
        },
      }))()
    },
  },
]
