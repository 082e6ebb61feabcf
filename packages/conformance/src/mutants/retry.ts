import type { WireMessage } from '@msgloop/core/driver'
import { RESERVED_PREFIX } from '@msgloop/core/driver'
import { decorate } from '../decorate.js'
import { copyOf, withVerdict } from './carry-out.js'
import type { Mutant } from './mutant.js'

/** Retries by a copy that lacks something: copied, confirmed, then acked, as it should be. */
const copying =
  (change: (copy: WireMessage) => WireMessage, delay: (ms: number) => number = (ms) => ms): Mutant['make'] =>
  () =>
  (driver) =>
    withVerdict(driver, 'retry', async (work) => {
      await work.send({ message: change(copyOf(work)), delayMs: delay(work.verdict.delayMs) })
      await work.settle({ kind: 'ack' })
    })

const onlyReserved = (headers: WireMessage['headers']): WireMessage['headers'] =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => name.startsWith(RESERVED_PREFIX)))

let made = 0

export const retryMutants: readonly Mutant[] = [
  {
    id: 'retry-loses-headers',
    fault: 'retries without the headers of the user',
    seenIn: 'H1, H6: message attributes dropped by a retry',
    caughtBy: ['T5-unchanged'],
    make: copying((copy) => ({ ...copy, headers: onlyReserved(copy.headers) })),
  },
  {
    id: 'retry-loses-fields',
    fault: 'retries without key, correlation and trace context',
    seenIn: 'H6',
    caughtBy: ['T5-unchanged', 'F2-dead-letter'],
    make: copying((copy) => ({ ...copy, key: undefined, correlationId: undefined, traceparent: undefined })),
  },
  {
    id: 'retry-loses-expiry',
    fault: 'retries without the expiry',
    seenIn: 'H12: republishing resets the expiration',
    caughtBy: ['T5-unchanged', 'W2-while-waiting'],
    make: copying((copy) => ({ ...copy, expiresAt: undefined })),
  },
  {
    id: 'retry-new-id',
    fault: 'retries under a new id',
    seenIn: 'universal rule 2: a stable id',
    caughtBy: ['T5-unchanged', 'T3-consumer-gone', 'S6-everywhere'],
    make: copying((copy) => ({ ...copy, id: `retry-${++made}` })),
  },
  {
    id: 'retry-new-time',
    fault: 'retries as if the message had been sent just now',
    seenIn: 'H6: a retry that is a new message',
    caughtBy: ['T5-unchanged'],
    make: copying((copy) => ({ ...copy, timestamp: Date.now() + 1 })),
  },
  {
    id: 'retry-resets-count',
    fault: 'forgets which attempt it was',
    seenIn: 'H6: the receive count is reset, so the limit never trips',
    caughtBy: ['T1-counters', 'T1-exact', 'T1-new-consumer'],
    make: copying((copy) => ({ ...copy, headers: {} })),
  },
  {
    id: 'retry-at-once',
    fault: 'ignores the delay of a retry',
    seenIn: 'H2, H4, H5, H7: immediate republish, bare nak, a TTL of 1 ms',
    caughtBy: ['T2-delay', 'T7-manual-retry', 'T3-consumer-gone'],
    make: copying(
      (copy) => copy,
      () => 0,
    ),
  },
  {
    id: 'retry-constant',
    fault: 'uses one delay for every retry',
    seenIn: 'P7: a nack has a constant delay',
    caughtBy: ['T7-manual-retry', 'T2-delay'],
    make() {
      let first: number | undefined
      return copying(
        (copy) => copy,
        (ms) => {
          first ??= ms
          return first
        },
      )()
    },
  },
  {
    id: 'retry-late',
    fault: 'adds half a second to each retry',
    seenIn: 'P6: a TTL that counts at the head of the queue only',
    caughtBy: ['T2-delay', 'T2-at-once'],
    make: copying(
      (copy) => copy,
      (ms) => ms + 500,
    ),
  },
  {
    id: 'retry-head-of-line',
    fault: 'lets no retry pass one that waits longer',
    seenIn: 'P6, H13: a shared wait queue',
    caughtBy: ['T4-shorter'],
    make() {
      let lastDue = 0
      return copying(
        (copy) => copy,
        (ms) => {
          // Due in the same moment, they might pass after all.
          lastDue = Math.max(lastDue + 20, Date.now() + ms)
          return lastDue - Date.now()
        },
      )()
    },
  },
  {
    id: 'retry-in-process',
    fault: 'keeps a retry in a timer of the process',
    seenIn: 'H9, H17: sleeping in the middleware',
    caughtBy: ['T3-consumer-gone', 'T1-new-consumer'],
    make: () => (driver) =>
      withVerdict(driver, 'retry', async ({ settle, verdict }) => {
        setTimeout(() => {
          settle({ ...verdict, delayMs: 0 }).catch(() => {})
        }, verdict.delayMs)
      }),
  },
  {
    id: 'retry-acks-first',
    fault: 'acks, then copies, and loses the message when copying fails',
    seenIn: 'universal rule 1: copy, then ack; H2',
    caughtBy: ['T1-many', 'T1-soak'],
    make() {
      let count = 0
      return (driver) =>
        withVerdict(driver, 'retry', async (work) => {
          await work.settle({ kind: 'ack' })
          if (++count % 9 !== 0) await work.send({ message: copyOf(work), delayMs: work.verdict.delayMs })
        })
    },
  },
  {
    id: 'retry-doubles',
    fault: 'copies for a retry and gives the original back too',
    seenIn: '§1.4: killed between copy and ack',
    caughtBy: ['T1-exact', 'T1-many', 'T1-counters'],
    make: () => (driver) =>
      withVerdict(driver, 'retry', async (work) => {
        await work.send({ message: copyOf(work), delayMs: work.verdict.delayMs })
        await work.settle({ kind: 'release' })
      }),
  },
  {
    id: 'retry-releases',
    fault: 'gives a failed message back as if it had not been tried',
    seenIn: 'H5: nack(requeue) in a hot loop',
    caughtBy: ['T1-counters', 'T2-delay', 'R1-partial'],
    make: () => (driver) => withVerdict(driver, 'retry', ({ settle }) => settle({ kind: 'release' })),
  },
  {
    id: 'release-acks',
    fault: 'acks what is released',
    seenIn: 'H5: acked after the maximal duration, so lost',
    caughtBy: ['R1-release', 'L2-deadline', 'L2-gives-back'],
    make: () => (driver) => withVerdict(driver, 'release', ({ settle }) => settle({ kind: 'ack' })),
  },
  {
    id: 'release-counts',
    fault: 'counts a release as an attempt',
    seenIn: 'universal rule 9: a deploy that costs attempts',
    caughtBy: ['R1-release', 'L2-deadline'],
    make: () => (driver) =>
      withVerdict(driver, 'release', ({ settle, message }) => {
        const attempt = Number(message.headers['msgloop-attempt'] ?? 1) + 1
        return settle({ kind: 'retry', delayMs: 0, headers: { 'msgloop-attempt': String(attempt) } })
      }),
  },
  {
    id: 'settle-first-only',
    fault: 'settles the first of a batch and reports success for all',
    seenIn: 'P21: 200 with a list of failures, swallowed',
    caughtBy: ['C1-batches'],
    make: () => (driver) =>
      decorate(driver, {
        receiver: (inner) => ({ settle: (batch, signal) => inner.settle(batch.slice(0, 1), signal) }),
      }),
  },
]
