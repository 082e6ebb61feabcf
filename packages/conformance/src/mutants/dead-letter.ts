import type { Admin, BrowsePage, Source, WireMessage } from '@msgloop/core/driver'
import { BOOK_HEADERS, RESERVED_PREFIX } from '@msgloop/core/driver'
import { decorate } from '../decorate.js'
import { copyOf, withVerdict } from './carry-out.js'
import type { Mutant } from './mutant.js'

/** Moves by a copy that is not as it should be. */
const moving =
  (change: (copy: WireMessage, original: WireMessage) => WireMessage): Mutant['make'] =>
  () =>
  (driver) =>
    withVerdict(driver, 'move', async (work) => {
      await work.send({ message: change(copyOf(work), work.message), delayMs: 0 }, work.verdict.to)
      await work.settle({ kind: 'ack' })
    })

/** Looks without taking, and shows other pages than the broker has. */
const showing =
  (
    change: (page: BrowsePage, source: Source, admin: Admin) => BrowsePage | Promise<BrowsePage>,
  ): Mutant['make'] =>
  () =>
  (driver) =>
    decorate(driver, {
      admin: (inner) =>
        inner.browse
          ? {
              async browse(source, limit, cursor, signal) {
                const page = await inner.browse?.(source, limit, cursor, signal)
                return await change(page ?? { entries: [] }, source, inner)
              },
            }
          : {},
    })

const without = (headers: WireMessage['headers'], drop: (name: string) => boolean): WireMessage['headers'] =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !drop(name)))

export const deadLetterMutants: readonly Mutant[] = [
  {
    id: 'move-drops',
    fault: 'acks what is to be dead-lettered without storing the entry',
    seenIn: 'P1, P4: a delivery limit without a dead-letter exchange drops',
    caughtBy: ['T1-exact', 'T7-reject', 'D1-record'],
    make: () => (driver) => withVerdict(driver, 'move', ({ settle }) => settle({ kind: 'ack' })),
  },
  {
    id: 'move-acks-first',
    fault: 'acks, then stores the entry, and loses it when storing fails',
    seenIn: 'H1, H7: acked though the dead-letter publish failed',
    caughtBy: ['T1-many', 'D7-remove'],
    make() {
      let count = 0
      return (driver) =>
        withVerdict(driver, 'move', async (work) => {
          await work.settle({ kind: 'ack' })
          if (++count % 4 !== 0) await work.send({ message: copyOf(work), delayMs: 0 }, work.verdict.to)
        })
    },
  },
  {
    id: 'move-to-nowhere',
    fault: 'acks when the dead-letter queue is gone',
    seenIn: 'H1: "Throwing away message"; H13: an unbound exchange drops silently',
    caughtBy: ['D2-queue-gone', 'D6-missing-target'],
    make: () => (driver) =>
      withVerdict(driver, 'move', async ({ settle, verdict }) => {
        await settle(verdict).catch(() => settle({ kind: 'ack' }))
      }),
  },
  {
    id: 'move-doubles',
    fault: 'stores an entry twice',
    seenIn: 'H3: a failed move moves its siblings again',
    caughtBy: ['T1-many', 'D5-look', 'T1-soak'],
    make: () => (driver) =>
      withVerdict(driver, 'move', async (work) => {
        await work.send({ message: copyOf(work), delayMs: 0 }, work.verdict.to)
        await work.settle(work.verdict)
      }),
  },
  {
    id: 'move-leaves',
    fault: 'stores the entry and leaves the original on the queue',
    seenIn: 'P12: messages stranded after the last delivery',
    caughtBy: ['T1-exact', 'T7-reject', 'D6-replay'],
    make: () => (driver) =>
      withVerdict(driver, 'move', async (work) => {
        await work.send({ message: copyOf(work), delayMs: 0 }, work.verdict.to)
        await work.settle({ kind: 'release' })
      }),
  },
  {
    id: 'move-loses-headers',
    fault: 'stores entries without the headers of the user',
    seenIn: 'H1: the original headers are replaced',
    caughtBy: ['D1-record', 'D6-replay', 'D4-queue'],
    make: moving((copy) => ({
      ...copy,
      headers: without(copy.headers, (name) => !name.startsWith(RESERVED_PREFIX)),
    })),
  },
  {
    id: 'move-loses-record',
    fault: 'stores entries without reason and error',
    seenIn: 'H3, H6, H7: entries without a reason',
    caughtBy: ['D1-record', 'T7-reject', 'D6-own-source'],
    make: moving((copy) => ({
      ...copy,
      headers: without(copy.headers, (name) => name === BOOK_HEADERS.dead),
    })),
  },
  {
    id: 'move-loses-history',
    fault: 'stores entries without the attempts',
    seenIn: 'symfony/symfony#32311: metadata lost on retry',
    caughtBy: ['D1-record', 'D1-bounded', 'T1-new-consumer'],
    make: moving((copy) => ({
      ...copy,
      headers: without(copy.headers, (name) => name === BOOK_HEADERS.history),
    })),
  },
  {
    id: 'move-forgets-replays',
    fault: 'forgets how often a message was replayed',
    seenIn: 'D6: a loop of replays',
    caughtBy: ['D6-again', 'D6-max-replays', 'D6-replay'],
    make: moving((copy) => ({
      ...copy,
      headers: without(copy.headers, (name) => name === BOOK_HEADERS.replays),
    })),
  },
  {
    id: 'move-new-id',
    fault: 'stores entries under a new id',
    seenIn: 'universal rule 2: a stable id',
    caughtBy: ['S6-everywhere', 'D1-record', 'T1-many'],
    make: moving((copy) => ({ ...copy, id: `dead-${copy.id}` })),
  },
  {
    id: 'move-body-as-text',
    fault: 'stores the body of an entry as text',
    seenIn: 'D1: the original bytes',
    caughtBy: ['D1-record', 'T5-bytes'],
    make: moving((copy) => ({ ...copy, body: Buffer.from(Buffer.from(copy.body).toString()) })),
  },
  {
    id: 'move-keeps-expiry',
    fault: 'lets entries expire with the original',
    seenIn: 'P22: a dead letter that keeps its old age',
    caughtBy: ['D4-queue', 'W2-replay'],
    make: moving((copy, original) => ({ ...copy, expiresAt: original.expiresAt })),
  },
  {
    id: 'browse-backwards',
    fault: 'lists the newest entry first',
    seenIn: 'D5: oldest first',
    caughtBy: ['D5-look', 'D5-browse'],
    make: showing((page) => ({ ...page, entries: [...page.entries].reverse() })),
  },
  {
    id: 'browse-skips',
    fault: 'skips an entry at the end of each page',
    seenIn: 'H3: a listing limited to 10',
    caughtBy: ['D5-page', 'D5-browse'],
    make: showing((page) =>
      page.cursor === undefined ? page : { ...page, entries: page.entries.slice(0, -1) },
    ),
  },
  {
    id: 'browse-takes',
    fault: 'takes away what it was only to show',
    seenIn: 'H15: a peek that consumes',
    caughtBy: ['D5-look', 'D5-browse', 'D6-dry-run'],
    make: showing(async (page, source, admin) => {
      await admin.purge(source, new AbortController().signal)
      return page
    }),
  },
  {
    id: 'move-loses-canary',
    fault: 'replays without the header that says a canary waits for it',
    seenIn: 'symfony/symfony#32311: metadata lost on retry',
    caughtBy: ['D6-canary', 'D6-canary-by-hand'],
    make: moving((copy) => ({
      ...copy,
      headers: without(copy.headers, (name) => name === BOOK_HEADERS.canary),
    })),
  },
  {
    id: 'move-into-quarantine-drops',
    fault: 'acks what is to be quarantined without storing it',
    seenIn: 'H1: "Throwing away message"',
    caughtBy: ['D6-quarantine', 'D6-max-replays', 'D7-quarantine-remove'],
    make: () => (driver) =>
      withVerdict(driver, 'move', ({ settle, verdict }) =>
        settle(verdict.to.endsWith('.quarantine') ? { kind: 'ack' } : verdict),
      ),
  },
  {
    id: 'quarantine-loses-record',
    fault: 'quarantines entries without their record',
    seenIn: 'H3, H6, H7: entries without a reason',
    caughtBy: ['D6-quarantine'],
    make: () => (driver) =>
      withVerdict(driver, 'move', ({ settle, verdict }) =>
        settle(verdict.to.endsWith('.quarantine') ? { ...verdict, headers: {} } : verdict),
      ),
  },
  {
    id: 'dead-letter-ack-forgets',
    fault: 'answers the ack of a dead letter, and gives it back',
    seenIn: 'H15: a removal that is none',
    caughtBy: ['D6-edit', 'D7-remove-shown', 'D7-quarantine-remove'],
    make: () => (driver) =>
      decorate(driver, {
        receiver: (inner, source) =>
          source.kind === 'queue' && source.role === 'dead-letter'
            ? {
                settle: (batch, signal) =>
                  inner.settle(
                    batch.map(({ token, verdict }) => ({
                      token,
                      verdict: verdict.kind === 'ack' ? ({ kind: 'release' } as const) : verdict,
                    })),
                    signal,
                  ),
              }
            : {},
      }),
  },
  {
    id: 'browse-ignores-cursor',
    fault: 'begins the second page at the first entry again',
    seenIn: 'H3: a listing limited to 10',
    caughtBy: ['D5-cursor', 'D5-browse'],
    make: () => (driver) =>
      decorate(driver, {
        admin: (inner) => {
          let again = true
          return inner.browse
            ? {
                async browse(source, limit, cursor, signal) {
                  // Only once: readers would go on for ever.
                  const from = again ? undefined : cursor
                  if (cursor !== undefined) again = false
                  return (await inner.browse?.(source, limit, from, signal)) ?? { entries: [] }
                },
              }
            : {}
        },
      }),
  },
  {
    id: 'send-loses-lineage',
    fault: 'sends without the bookkeeping headers',
    seenIn: 'H1: the original headers are replaced',
    caughtBy: ['D6-edit-lineage'],
    make: () => (driver) =>
      decorate(driver, {
        sender: (inner) => ({
          send: (batch, signal) =>
            inner.send(
              batch.map(({ delayMs, message }) => ({
                delayMs,
                message: {
                  ...message,
                  headers: without(message.headers, (name) => name.startsWith(RESERVED_PREFIX)),
                },
              })),
              signal,
            ),
        }),
      }),
  },
  {
    id: 'delete-forgets',
    fault: 'answers that a queue was deleted, and leaves it',
    seenIn: 'H9: queues of dead processes pile up',
    caughtBy: ['D6-canary'],
    make: () => (driver) => decorate(driver, { admin: () => ({ delete: async () => {} }) }),
  },
]
