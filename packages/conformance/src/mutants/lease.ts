import type { Delivery, Receiver } from '@msgloop/core/driver'
import { decorate } from '../decorate.js'
import { withVerdict } from './carry-out.js'
import type { Mutant } from './mutant.js'

export const leaseMutants: readonly Mutant[] = [
  {
    id: 'extend-does-nothing',
    fault: 'says that it renewed a lease, and did not',
    seenIn: 'H4: one working() at the start only',
    caughtBy: ['R5-renewed', 'R5-extend', 'R1-held'],
    make: () => (driver) => decorate(driver, { receiver: () => ({ extend: async () => [] }) }),
  },
  {
    id: 'extend-shortens',
    fault: 'renews for half of the time',
    seenIn: 'P19: visibility counted from the receive',
    caughtBy: ['R5-extend'],
    make: () => (driver) =>
      decorate(driver, {
        receiver: ({ extend }) =>
          extend ? { extend: (tokens, ms) => extend(tokens, Math.ceil(ms / 2)) } : {},
      }),
  },
  {
    id: 'extend-undoes-retry',
    fault: 'a late renewal overwrites the delay of a retry',
    seenIn: 'H16, P19: a heartbeat after the visibility change',
    caughtBy: ['R8-heartbeat', 'R8-extend-race'],
    make() {
      let leaseMs = 30_000
      return (driver) =>
        decorate(
          withVerdict(driver, 'retry', ({ settle, verdict }) =>
            settle({ ...verdict, delayMs: Math.min(verdict.delayMs, leaseMs) }),
          ),
          {
            receiver: (_, __, options) => {
              leaseMs = options.leaseMs
              return {}
            },
          },
        )
    },
  },
  {
    id: 'lease-ignored',
    fault: 'never gives to another what was not renewed',
    seenIn: 'H3, P18: an abandoned message that nobody reclaims',
    caughtBy: ['R7-driver-expired'],
    make: () => (driver) =>
      decorate(driver, {
        driver: (inner) => ({
          openReceiver: (source, options, signal) =>
            inner.openReceiver(source, { ...options, leaseMs: 3_600_000 }, signal),
        }),
      }),
  },
  {
    id: 'stale-settle-hidden',
    fault: 'reports success for settling what is no longer ours',
    seenIn: 'H13: an ack on a stale channel',
    caughtBy: ['R7-driver-expired'],
    make: () => (driver) =>
      decorate(driver, {
        receiver: (inner) => ({
          async settle(batch, signal) {
            await inner.settle(batch, signal)
            return []
          },
        }),
      }),
  },
  {
    id: 'stale-settle-hits-another',
    fault: 'a stale settlement settles the delivery of whoever has the message now',
    seenIn: 'H13, P9: a delivery tag of another channel',
    caughtBy: ['R7-driver-expired'],
    make() {
      const current = new Map<string, { delivery: Delivery; receiver: Receiver }>()
      return (driver) =>
        decorate(driver, {
          receiver: (inner) => {
            const ids = new Map<unknown, string>()
            return {
              async receive(max, waitMs, signal) {
                const deliveries = await inner.receive(max, waitMs, signal)
                for (const delivery of deliveries) {
                  ids.set(delivery.token, delivery.message.id)
                  current.set(delivery.message.id, { delivery, receiver: inner })
                }
                return deliveries
              },
              async settle(batch, signal) {
                const failures = await inner.settle(batch, signal)
                for (const { index } of failures) {
                  const item = batch[index]
                  const now = item && current.get(ids.get(item.token) ?? '')
                  if (item && now) await now.receiver.settle([{ ...item, token: now.delivery.token }])
                }
                return failures
              },
            }
          },
        })
    },
  },
  {
    id: 'settle-twice-fails',
    fault: 'fails to settle what was settled in the same way before',
    seenIn: 'P9: a double ack closes the channel',
    caughtBy: ['C1-shape'],
    make: () => (driver) =>
      decorate(driver, {
        receiver: (inner) => {
          const settled = new Set<unknown>()
          return {
            async settle(batch, signal) {
              const again = batch.flatMap(({ token }, index) =>
                settled.has(token) ? [{ index, error: new Error('unknown delivery tag') }] : [],
              )
              for (const { token } of batch) settled.add(token)
              return again.length > 0 ? again : await inner.settle(batch, signal)
            },
          }
        },
      }),
  },
  {
    id: 'loss-untold',
    fault: 'does not tell that its deliveries are lost with the connection',
    seenIn: 'P9: nobody listens for the close of a channel',
    caughtBy: ['R7-stale', 'L4-told'],
    needs: 'connection-lease',
    make: () => (driver) =>
      decorate(driver, {
        driver: (inner) => ({
          openReceiver: (source, options, signal) =>
            inner.openReceiver(source, { ...options, onLost: () => {} }, signal),
        }),
      }),
  },
]
