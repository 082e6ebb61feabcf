import type { Delivery } from '@msgloop/core/driver'
import { decorate } from '../decorate.js'
import type { Mutant } from './mutant.js'

const MORE = 5

/** A mutant that changes what is handed over. */
const receiving =
  (change: (delivery: Delivery) => Delivery): Mutant['make'] =>
  () =>
  (driver) =>
    decorate(driver, {
      receiver: (inner) => ({
        receive: async (max, waitMs, signal) => (await inner.receive(max, waitMs, signal)).map(change),
      }),
    })

/** Fetches ahead, beyond what it was allowed. `stop` says what becomes of it then. */
const hoarding =
  (stop: 'keep' | 'ack'): Mutant['make'] =>
  () =>
  (driver) =>
    decorate(driver, {
      driver: (inner) => ({
        async openReceiver(source, options, signal) {
          const receiver = await inner.openReceiver(
            source,
            { ...options, prefetch: options.prefetch + MORE },
            signal,
          )
          const extend = receiver.extend?.bind(receiver)
          let ahead: Delivery[] = []
          return {
            async receive(max, waitMs, abort) {
              if (ahead.length === 0) ahead = [...(await receiver.receive(max + MORE, waitMs, abort))]
              return ahead.splice(0, max)
            },
            settle: (batch, abort) => receiver.settle(batch, abort),
            async stop() {
              if (stop === 'ack')
                await receiver.settle(
                  ahead.splice(0).map(({ token }) => ({ token, verdict: { kind: 'ack' } })),
                )
              await receiver.stop()
            },
            close: () => receiver.close(),
            ...(extend && { extend }),
          }
        },
      }),
    })

export const receiveMutants: readonly Mutant[] = [
  {
    id: 'receive-too-many',
    fault: 'hands over more than was asked for',
    seenIn: 'H5: no prefetch',
    caughtBy: ['C1-receive-max', 'R3-max'],
    make: () => (driver) =>
      decorate(driver, {
        driver: (inner) => ({
          openReceiver: async (source, options, signal) => {
            const more = { ...options, prefetch: options.prefetch + MORE }
            const receiver = await inner.openReceiver(source, more, signal)
            const extend = receiver.extend?.bind(receiver)
            return {
              receive: (max, waitMs, abort) => receiver.receive(max + MORE, waitMs, abort),
              settle: (batch, abort) => receiver.settle(batch, abort),
              stop: () => receiver.stop(),
              close: () => receiver.close(),
              ...(extend && { extend }),
            }
          },
        }),
      }),
  },
  {
    id: 'receive-hoards',
    fault: 'fetches more than its prefetch and keeps it from idle consumers',
    seenIn: 'P20: messages hidden by a poll that fetched too many',
    caughtBy: ['R2-backlog', 'C1-receive-max'],
    make: hoarding('keep'),
  },
  {
    id: 'stop-discards',
    fault: 'discards what it had fetched ahead when it is stopped',
    seenIn: 'P20: aborted polls; H13: buffered publishes that never settle',
    caughtBy: ['L2-drain', 'T8-deploy'],
    make: hoarding('ack'),
  },
  {
    id: 'receive-waits-for-company',
    fault: 'returns only when a batch is full or the wait is over',
    seenIn: 'R3: long polls',
    caughtBy: ['R3-prompt', 'R4-before'],
    make: () => (driver) =>
      decorate(driver, {
        receiver: (inner) => ({
          async receive(max, waitMs, signal) {
            const until = Date.now() + waitMs
            const all: Delivery[] = []
            do {
              all.push(...(await inner.receive(max - all.length, Math.max(0, until - Date.now()), signal)))
            } while (all.length < max && Date.now() < until && !signal.aborted)
            return all
          },
        }),
      }),
  },
  {
    id: 'abort-drops',
    fault: 'drops what was on its way when a receive is aborted',
    seenIn: 'P20: aborting a poll',
    caughtBy: ['R3-abort'],
    make: () => (driver) =>
      decorate(driver, {
        receiver: (inner) => ({
          async receive(max, waitMs, signal) {
            const deliveries = await inner.receive(max, waitMs, new AbortController().signal)
            return signal.aborted ? [] : deliveries
          },
        }),
      }),
  },
  {
    id: 'deliveries-stuck',
    fault: 'always says it is the first delivery',
    seenIn: 'P2: a header whose meaning changed',
    caughtBy: ['R6-let-go', 'R9-crash-loop', 'T1-counters'],
    make: receiving((delivery) => ({ ...delivery, deliveries: 1 })),
  },
  {
    id: 'deliveries-too-high',
    fault: 'counts a delivery too many',
    seenIn: 'P2: acquired and delivered are counted apart',
    caughtBy: ['R1-deliveries', 'T1-counters', 'R9-within'],
    make: receiving((delivery) => ({ ...delivery, deliveries: delivery.deliveries + 1 })),
  },
  {
    id: 'redelivery-as-duplicate',
    fault: 'takes the redelivery of a failed message for a duplicate and acks it',
    seenIn: 'H8: the key is stored before the handler has run',
    caughtBy: ['T1-exact', 'R1-settled-otherwise', 'R6-let-go'],
    make() {
      const seen = new Set<string>()
      return (driver) =>
        decorate(driver, {
          receiver: (inner, source) => ({
            async receive(max, waitMs, signal) {
              const deliveries = await inner.receive(max, waitMs, signal)
              const fresh: Delivery[] = []
              for (const delivery of deliveries) {
                const key = `${source.name} ${delivery.message.id}`
                if (seen.has(key)) await inner.settle([{ token: delivery.token, verdict: { kind: 'ack' } }])
                else fresh.push(delivery)
                seen.add(key)
              }
              return fresh
            },
          }),
        })
    },
  },
  {
    id: 'headers-with-own-inside',
    fault: 'hands on headers of the broker itself among those of the user',
    seenIn: 'P11: x-death and its kin',
    caughtBy: ['M2-headers', 'M3-absent'],
    make: receiving((delivery) => ({
      ...delivery,
      message: { ...delivery.message, headers: { ...delivery.message.headers, 'x-delivery-count': '0' } },
    })),
  },
]
