import type { Outgoing } from '@msgloop/core/driver'
import { DriverError } from '@msgloop/core/driver'
import { decorate } from '../decorate.js'
import type { Mutant } from './mutant.js'

const withMessage = (outgoing: Outgoing, change: Partial<Outgoing['message']>): Outgoing => ({
  ...outgoing,
  message: { ...outgoing.message, ...change },
})

/** A mutant that changes what is sent. */
const sending =
  (change: (batch: readonly Outgoing[]) => readonly Outgoing[]): Mutant['make'] =>
  () =>
  (driver) =>
    decorate(driver, {
      sender: (inner) => ({
        async send(batch, signal) {
          const changed = change(batch)
          if (changed.length > 0) await inner.send(changed, signal)
          return []
        },
      }),
    })

const each = (change: (outgoing: Outgoing) => Outgoing): Mutant['make'] =>
  sending((batch) => batch.map(change))

const everyNth = (n: number): (() => boolean) => {
  let count = 0
  return () => ++count % n === 0
}

export const sendMutants: readonly Mutant[] = [
  {
    id: 'send-confirms-lost',
    fault: 'confirms every seventh message without storing it',
    seenIn: 'H1, H7: publishing without confirms',
    caughtBy: ['S1-confirmed', 'S5-chunks'],
    make() {
      const seventh = everyNth(7)
      return sending((batch) => batch.filter(() => !seventh()))()
    },
  },
  {
    id: 'send-confirms-unroutable',
    fault: 'confirms what is sent to a queue that does not exist',
    seenIn: 'P8: an unroutable publish is confirmed unless it is mandatory',
    caughtBy: ['S1-missing-queue', 'S5-native-failures', 'E1-shape'],
    make: () => (driver) =>
      decorate(driver, {
        driver: (inner) => ({
          openSender: async (destination, signal) => {
            const sender = await inner.openSender(destination, signal).catch(() => undefined)
            return {
              send: async (batch, abort) => (await sender?.send(batch, abort).catch(() => [])) ?? [],
              close: async () => await sender?.close(),
            }
          },
        }),
      }),
  },
  {
    id: 'send-all-or-nothing',
    fault: 'fails a whole batch as certainly not stored when one item of it was refused',
    seenIn: 'P21: batch calls that return 200 with a list of failures',
    caughtBy: ['S5-chunks', 'S1-confirmed'],
    make() {
      let refused = false
      return (driver) =>
        decorate(driver, {
          sender: (inner) => ({
            async send(batch, signal) {
              if (refused || batch.length < 2) return await inner.send(batch, signal)
              refused = true
              await inner.send(batch.slice(1), signal)
              throw new DriverError('BUSY', 'throttled', { retryable: true, outcome: 'rejected' })
            },
          }),
        })
    },
  },
  {
    id: 'send-wrong-index',
    fault: 'names the wrong item of a batch as the one that failed',
    seenIn: 'P21: failures listed by an id that is no index',
    caughtBy: ['S5-chunks'],
    make: () => (driver) =>
      decorate(driver, {
        sender: (inner) => ({
          async send(batch, signal) {
            if (batch.length < 2) return await inner.send(batch, signal)
            await inner.send([...batch.slice(0, 1), ...batch.slice(2)], signal)
            return [
              {
                index: 0,
                error: new DriverError('BUSY', 'throttled', { retryable: true, outcome: 'rejected' }),
              },
            ]
          },
        }),
      }),
  },
  {
    id: 'send-twice',
    fault: 'sends every fifth message a second time',
    seenIn: 'P21, P25: clients that send again by themselves',
    caughtBy: ['S1-confirmed', 'S5-chunks'],
    make() {
      const fifth = everyNth(5)
      return sending((batch) => batch.flatMap((outgoing) => (fifth() ? [outgoing, outgoing] : [outgoing])))()
    },
  },
  {
    id: 'send-stored-yet-rejected',
    fault: 'calls a lost connection "certainly not stored" after it stored the batch',
    seenIn: 'universal rule 3: only unknown may duplicate',
    caughtBy: ['S1-confirmed'],
    make() {
      const second = everyNth(2)
      return (driver) =>
        decorate(driver, {
          sender: (inner) => ({
            async send(batch, signal) {
              const failures = await inner.send(batch, signal)
              if (second()) return failures
              throw new DriverError('BUSY', 'connection reset', { retryable: true, outcome: 'rejected' })
            },
          }),
        })
    },
  },
  {
    id: 'send-reorders',
    fault: 'stores each batch backwards',
    seenIn: 'S8: batches sent at once',
    caughtBy: ['S8-order', 'C1-in-flight'],
    make: sending((batch) => [...batch].reverse()),
  },
  {
    id: 'send-new-id',
    fault: "replaces the id by the broker's own",
    seenIn: 'universal rule 2: a stable id',
    caughtBy: ['S6-id', 'R1-compete'],
    make() {
      let made = 0
      return each((outgoing) => withMessage(outgoing, { id: `native-${++made}` }))()
    },
  },
  {
    id: 'body-cut',
    fault: 'cuts bodies at 64 KiB',
    seenIn: 'P10: a buffer of 65 536 bytes',
    caughtBy: ['M1-bytes', 'M1-limit'],
    make: each((outgoing) => withMessage(outgoing, { body: outgoing.message.body.subarray(0, 65_536) })),
  },
  {
    id: 'body-as-text',
    fault: 'carries bodies as UTF-8 text',
    seenIn: 'P21: bodies that are strings',
    caughtBy: ['M1-bytes', 'T5-bytes'],
    make: each((outgoing) =>
      withMessage(outgoing, { body: Buffer.from(Buffer.from(outgoing.message.body).toString()) }),
    ),
  },
  {
    id: 'headers-lower-case',
    fault: 'writes header names in lower case',
    seenIn: 'brokers with HTTP-like headers',
    caughtBy: ['M2-headers', 'T5-unchanged'],
    make: each((outgoing) =>
      withMessage(outgoing, {
        headers: Object.fromEntries(
          Object.entries(outgoing.message.headers).map(([name, value]) => [name.toLowerCase(), value]),
        ),
      }),
    ),
  },
  {
    id: 'headers-lose-empty',
    fault: 'drops headers whose value is empty',
    seenIn: 'brokers that refuse empty attributes',
    caughtBy: ['M2-headers', 'T5-unchanged'],
    make: each((outgoing) =>
      withMessage(outgoing, {
        headers: Object.fromEntries(
          Object.entries(outgoing.message.headers).filter(([, value]) => value !== ''),
        ),
      }),
    ),
  },
  {
    id: 'headers-one-line',
    fault: 'ends a header at its first line break',
    seenIn: 'brokers whose headers are lines',
    caughtBy: ['M2-headers'],
    make: each((outgoing) =>
      withMessage(outgoing, {
        headers: Object.fromEntries(
          Object.entries(outgoing.message.headers).map(([name, value]) => [
            name,
            value.replace(/[\r\n].*/s, ''),
          ]),
        ),
      }),
    ),
  },
  {
    id: 'fields-forgotten',
    fault: 'forgets key and correlation id',
    seenIn: 'H6: a copy without attributes',
    caughtBy: ['M3-fields', 'T5-unchanged', 'D1-record'],
    make: each((outgoing) => withMessage(outgoing, { key: undefined, correlationId: undefined })),
  },
  {
    id: 'delay-capped',
    fault: 'delivers at once what is delayed for more than 15 minutes',
    seenIn: '§2: DelaySeconds ends at 900',
    caughtBy: ['W1-longest'],
    make: each((outgoing) => (outgoing.delayMs > 900_000 ? { ...outgoing, delayMs: 0 } : outgoing)),
  },
  {
    id: 'delay-early',
    fault: 'delivers after half of the delay',
    seenIn: 'P13: a delay that is not the one asked for',
    caughtBy: ['W1-durable', 'W1-on-time', 'W3-due-order'],
    make: each((outgoing) => ({ ...outgoing, delayMs: Math.floor(outgoing.delayMs / 2) })),
  },
  {
    id: 'delay-late',
    fault: 'adds half a second to each delay',
    seenIn: 'P6: a TTL that counts at the head of the queue only',
    caughtBy: ['W1-on-time'],
    make: each((outgoing) =>
      outgoing.delayMs > 0 ? { ...outgoing, delayMs: outgoing.delayMs + 500 } : outgoing,
    ),
  },
  {
    id: 'delay-loses-headers',
    fault: 'forgets headers and fields of what is delayed',
    seenIn: 'H6: a copy without attributes',
    caughtBy: ['W1-durable'],
    make: each((outgoing) =>
      outgoing.delayMs > 0
        ? withMessage(outgoing, { headers: {}, key: undefined, type: undefined })
        : outgoing,
    ),
  },
  {
    id: 'delay-in-process',
    fault: 'keeps delayed messages in a timer of the process',
    seenIn: 'QueueKit (H17), Kombu: a delay held by the client',
    caughtBy: ['W1-durable'],
    make: () => (driver) =>
      decorate(driver, {
        sender: (inner) => ({
          async send(batch, signal) {
            for (const outgoing of batch)
              setTimeout(() => {
                inner.send([{ ...outgoing, delayMs: 0 }], signal).catch(() => {})
              }, outgoing.delayMs)
            return []
          },
        }),
      }),
  },
]
