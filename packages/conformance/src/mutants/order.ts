import type { Delivery, Driver, Outgoing, Topology, WireMessage } from '@msgloop/core/driver'
import { decorate } from '../decorate.js'
import { copyOf, withVerdict } from './carry-out.js'
import type { Mutant } from './mutant.js'

/** A driver that takes every queue for one without order. */
const unordered = (driver: Driver): Driver => {
  const plain = <T extends Topology>(topology: T): T =>
    topology.kind === 'topic' ? topology : { ...topology, order: 'none' }
  return decorate(driver, {
    admin: (inner) => ({
      declare: (topology, signal) => inner.declare(plain(topology), signal),
      verify: (topology, signal) => inner.verify(plain(topology), signal),
    }),
  })
}

/** A driver that sends another message than it was given. */
const sending =
  (change: (message: WireMessage) => WireMessage): Mutant['make'] =>
  () =>
  (driver) =>
    decorate(driver, {
      sender: (inner) => ({
        send: (batch, signal) =>
          inner.send(
            batch.map((outgoing: Outgoing) => ({ ...outgoing, message: change(outgoing.message) })),
            signal,
          ),
      }),
    })

/** A driver that settles or fetches otherwise once it was told to fetch no more. */
const stopping =
  (
    stop: (
      held: ReadonlySet<Delivery>,
      release: (held: readonly Delivery[]) => Promise<void>,
    ) => Promise<void>,
  ): Mutant['make'] =>
  () =>
  (driver) =>
    decorate(driver, {
      receiver: (inner) => {
        const held = new Set<Delivery>()
        return {
          async receive(max, waitMs, signal) {
            const deliveries = await inner.receive(max, waitMs, signal)
            for (const delivery of deliveries) held.add(delivery)
            return deliveries
          },
          async settle(batch, signal) {
            for (const { token } of batch)
              for (const delivery of held) if (delivery.token === token) held.delete(delivery)
            return await inner.settle(batch, signal)
          },
          async stop() {
            await inner.stop()
            await stop(held, async (released) => {
              await inner.settle(released.map(({ token }) => ({ token, verdict: { kind: 'release' } })))
            })
          },
        }
      },
    })

/** Order by key, lanes, and acks before the handler. */
export const orderMutants: readonly Mutant[] = [
  {
    id: 'order-ignored',
    fault: 'makes an ordinary queue of one with order by key',
    seenIn: 'P25: local-aws-sqs ignores the lock of a FIFO group',
    caughtBy: ['O2-lease-over', 'O2-workers', 'O2-pause-keeps'],
    make: () => unordered,
  },
  {
    id: 'order-retry-last',
    fault: 'retries a message of an ordered queue as a new one, behind all others',
    seenIn: '§1.4: a retry by a delay queue comes back at the end',
    caughtBy: ['O2-long-retry', 'O2-workers', 'R10-order'],
    make: () => (driver) =>
      withVerdict(driver, 'retry', async (work) => {
        const { delayMs } = work.verdict
        await work.send({ message: copyOf(work), delayMs })
        await work.settle({ kind: 'ack' })
      }),
  },
  {
    id: 'order-release-last',
    fault: 'gives back a message of an ordered queue behind all others',
    seenIn: '§1.1g: before RabbitMQ 4.3, what is returned often goes to the end',
    caughtBy: ['O2-by-hand', 'O2-resized'],
    make: () => (driver) =>
      withVerdict(driver, 'release', async ({ settle, source }) => {
        if (source.order === 'key') await settle({ kind: 'move', to: source.name, headers: {} })
        else await settle({ kind: 'release' })
      }),
  },
  {
    id: 'order-reversed',
    fault: 'hands over several at once with the last one first',
    seenIn: 'P7: nack(multiple) returns in reverse',
    caughtBy: ['O2-one-key', 'O2-workers'],
    make: () => (driver) =>
      decorate(driver, {
        receiver: (inner) => ({
          receive: async (max, waitMs, signal) => [...(await inner.receive(max, waitMs, signal))].reverse(),
        }),
      }),
  },
  {
    id: 'order-stop-lets-go',
    fault: 'gives back what is being worked on when it is told to fetch no more',
    seenIn:
      '§1.1g: a cancelled single active consumer keeps its deliveries, and the next one is active already',
    caughtBy: ['O2-pause-keeps', 'L2-drain'],
    make: stopping((held, release) => release([...held])),
  },
  {
    id: 'order-key-dropped',
    fault: 'loses the key of a message',
    seenIn: 'H6: attributes dropped on the way',
    caughtBy: ['O2-one-key', 'O2-workers'],
    make: sending((message) => ({ ...message, key: undefined })),
  },
  {
    id: 'order-one-line',
    fault: 'keeps all messages of a queue in one line, whatever their key',
    seenIn: '§3.1g: one consumer with max_ack_pending 1',
    caughtBy: ['O2-parallel', 'O2-long-retry', 'O2-many-wait'],
    make: sending((message) => ({ ...message, key: 'all' })),
  },
  {
    id: 'order-no-key-one-key',
    fault: 'takes messages without a key for messages of one key',
    seenIn: '§2.1g: a default MessageGroupId',
    caughtBy: ['O2-parallel'],
    make: sending((message) => ({ ...message, key: message.key ?? 'none' })),
  },
  {
    id: 'lanes-merged',
    fault: 'cuts names at the last dot, so that all lanes are one queue',
    seenIn: 'P14: names mapped onto others',
    caughtBy: ['O3-highest-first', 'O3-dead-letters', 'O3-receive'],
    make: () => (driver) => {
      const short = <T extends Topology>(topology: T): T =>
        /\.(high|low)$/.test(topology.name)
          ? { ...topology, name: topology.name.replace(/\.\w+$/, '') }
          : topology
      return decorate(driver, {
        driver: (inner) => ({
          openSender: (to, signal) => inner.openSender(short(to), signal),
          openReceiver: (from, options, signal) => inner.openReceiver(short(from), options, signal),
        }),
      })
    },
  },
  {
    id: 'lanes-hoard',
    fault: 'fetches as many as its prefetch allows, though fewer were asked for',
    seenIn: 'P20: one long poll per lane fetches three times what can be handled',
    caughtBy: ['O3-slots'],
    make: () => (driver) =>
      decorate(driver, {
        receiver: (inner, _, { prefetch }) => {
          let ahead: Delivery[] = []
          return {
            async receive(max, waitMs, signal) {
              if (ahead.length === 0) ahead = [...(await inner.receive(prefetch, waitMs, signal))]
              return ahead.splice(0, max)
            },
          }
        },
      }),
  },
  {
    id: 'ack-answered-early',
    fault: 'says that it acked, and acks when it is closed',
    seenIn: 'P1: acks on a channel that is closed before they are written',
    caughtBy: ['X1-acked-first', 'X1-receive'],
    make: () => (driver) => {
      return decorate(driver, {
        receiver: (inner) => ({
          async settle(batch, signal) {
            const others = batch.filter(({ verdict }) => verdict.kind !== 'ack')
            return others.length > 0 ? await inner.settle(others, signal) : []
          },
        }),
      })
    },
  },
]
