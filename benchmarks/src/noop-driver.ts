import type { Delivery, Driver, Failure, Receiver, Sender } from '@msgloop/core/driver'

const NONE: readonly Failure[] = []
const BODY = Buffer.from(JSON.stringify({ id: 7, name: 'ada', items: [1, 2, 3] }))

/**
 * Takes and gives messages without doing anything: what is measured over it is the core alone.
 * Its receivers hand out `total` messages and then wait.
 */
export function noopDriver(total: number): Driver {
  let left = total
  let sequence = 0
  const delivery = (): Delivery => ({
    token: ++sequence,
    deliveries: 1,
    native: undefined,
    message: { id: `id-${sequence}`, body: BODY, headers: {}, timestamp: 1, contentType: 'application/json' },
  })
  const sender: Sender = { send: async () => NONE, close: async () => {} }
  const receiver: Receiver = {
    receive(max, _waitMs, signal) {
      const count = Math.min(max, left)
      left -= count
      if (count > 0) return Promise.resolve(Array.from({ length: count }, delivery))
      return new Promise((resolve) => signal.addEventListener('abort', () => resolve([]), { once: true }))
    },
    settle: async () => NONE,
    stop: async () => {},
    close: async () => {},
  }
  return {
    name: 'noop',
    address: 'this process',
    capabilities: {
      limits: {
        bodyBytes: 1 << 20,
        headerCount: 64,
        headerBytes: 16_384,
        delayMs: 1e9,
        delayResolutionMs: 100,
        leaseMs: 1e9,
        sendBatch: 512,
        sendBatchBytes: 1 << 24,
        sendsInFlight: 64,
        sendLingerMs: 0,
        receiveBatch: 256,
        settleBatch: 512,
        settleLingerMs: 0,
      },
      lease: 'connection',
      retry: 'copy',
      releaseCounts: false,
      dedupWindowMs: 0,
      browse: 'lease',
      purgesDelayed: true,
      stats: [],
      order: 'none',
      topics: false,
      replies: false,
    },
    admin: {
      declare: async () => {},
      verify: async () => [],
      stats: async () => ({
        ready: undefined,
        inFlight: undefined,
        delayed: undefined,
        dead: undefined,
        oldestAgeMs: undefined,
        consumers: undefined,
      }),
      purge: async () => 0,
      delete: async () => {},
    },
    connect: async () => {},
    openSender: async () => sender,
    openReceiver: async () => receiver,
    classify: () => ({ code: 'UNKNOWN', retryable: false }),
    native: () => undefined,
    close: async () => {},
  }
}
