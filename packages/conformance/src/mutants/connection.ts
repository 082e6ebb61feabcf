import { DriverError } from '@msgloop/core/driver'
import { decorate } from '../decorate.js'
import type { Mutant } from './mutant.js'

export const connectionMutants: readonly Mutant[] = [
  {
    id: 'receive-hangs',
    fault: 'waits for ever when its connection is gone',
    seenIn: 'P9, P25: blocking reads and confirms that hang',
    caughtBy: ['L4-reconnect'],
    make: () => (driver) =>
      decorate(driver, {
        driver: (inner) => ({
          openReceiver: (source, options, signal) =>
            inner.openReceiver(source, { ...options, onLost: () => {} }, signal),
        }),
        receiver: (inner) => ({
          async receive(max, waitMs, signal) {
            try {
              return await inner.receive(max, waitMs, signal)
            } catch {
              await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
              return []
            }
          },
        }),
      }),
  },
  {
    id: 'gives-up-reconnecting',
    fault: 'stays disconnected after its connection was cut',
    seenIn: 'P17: a client that closes after ten reconnects',
    caughtBy: ['L4-reconnect', 'L4-under-load'],
    make: () => (driver) => {
      let cut = false
      const assertUp = (): void => {
        if (cut)
          throw new DriverError('CONNECTION_LOST', 'the client is closed', {
            retryable: true,
            outcome: 'rejected',
          })
      }
      return decorate(driver, {
        driver: (inner) => ({
          async openSender(destination, signal) {
            assertUp()
            return await inner.openSender(destination, signal)
          },
          async openReceiver(source, options, signal) {
            assertUp()
            const onLost = (error: unknown): void => {
              cut = true
              options.onLost(error)
            }
            return await inner.openReceiver(source, { ...options, onLost }, signal)
          },
        }),
      })
    },
  },
  {
    id: 'health-lies',
    fault: 'says it is connected without asking the broker',
    seenIn: 'field 126: weak health checks',
    caughtBy: ['L4-outage', 'L1-unreachable'],
    make: () => (driver) => decorate(driver, { driver: () => ({ connect: async () => {} }) }),
  },
  {
    id: 'close-hangs',
    fault: 'never ends closing',
    seenIn: 'H13, sqs-consumer#567',
    caughtBy: ['L2-idle'],
    make: () => (driver) => decorate(driver, { driver: () => ({ close: () => new Promise(() => {}) }) }),
  },
  {
    id: 'close-once',
    fault: 'throws when a receiver is closed a second time',
    seenIn: 'P9: publish after close throws synchronously',
    caughtBy: ['C1-shape'],
    make: () => (driver) =>
      decorate(driver, {
        receiver: (inner) => {
          let closed = false
          return {
            async close() {
              if (closed) throw new Error('Channel closed')
              closed = true
              await inner.close()
            },
          }
        },
      }),
  },
  {
    id: 'classify-rejects-unknown',
    fault: 'calls an error it does not know "certainly not stored"',
    seenIn: 'universal rule 3',
    caughtBy: ['E1-classify'],
    make: () => (driver) =>
      decorate(driver, {
        driver: (inner) => ({ classify: (error) => ({ ...inner.classify(error), outcome: 'rejected' }) }),
      }),
  },
  {
    id: 'classify-retries-unknown',
    fault: 'calls an error it does not know retryable',
    seenIn: 'Go CDK: IsRetryable',
    caughtBy: ['E1-classify'],
    make: () => (driver) =>
      decorate(driver, {
        driver: (inner) => ({ classify: (error) => ({ ...inner.classify(error), retryable: true }) }),
      }),
  },
  {
    id: 'classify-throws',
    fault: 'throws on an error that is no Error',
    seenIn: 'L7',
    caughtBy: ['E1-classify'],
    make: () => (driver) =>
      decorate(driver, {
        driver: (inner) => ({
          classify(error) {
            if (!(error instanceof Error)) throw new TypeError('cannot read properties of undefined')
            return inner.classify(error)
          },
        }),
      }),
  },
  {
    id: 'errors-vague',
    fault: 'calls a missing queue an unknown error',
    seenIn: 'P3: a 404 that closes the channel',
    caughtBy: ['S1-missing-queue', 'E1-shape'],
    make: () => (driver) =>
      decorate(driver, {
        driver: (inner) => ({
          openSender: (destination, signal) => inner.openSender(destination, signal).catch(vague),
        }),
        sender: (inner) => ({ send: (batch, signal) => inner.send(batch, signal).catch(vague) }),
      }),
  },
  {
    id: 'errors-leak',
    fault: 'writes the URL with its password into errors',
    seenIn: 'E1: connection strings in messages',
    caughtBy: ['E1-shape'],
    make: () => (driver) => {
      const leak = (error: unknown): never => {
        const { code, retryable } = error instanceof DriverError ? error : driver.classify(error)
        throw new DriverError(code, 'amqp://app:hunter2@rabbit.example:5672 said no', {
          retryable,
          outcome: 'rejected',
        })
      }
      return decorate(driver, {
        driver: (inner) => ({
          connect: (signal) => inner.connect(signal).catch(leak),
          openSender: (destination, signal) => inner.openSender(destination, signal).catch(leak),
          openReceiver: (source, options, signal) => inner.openReceiver(source, options, signal).catch(leak),
        }),
        sender: (inner) => ({ send: (batch, signal) => inner.send(batch, signal).catch(leak) }),
      })
    },
  },
]

function vague(error: unknown): never {
  throw new DriverError('UNKNOWN', 'something went wrong', { cause: error, outcome: 'rejected' })
}
