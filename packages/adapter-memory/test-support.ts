import type {
  Delivery,
  Driver,
  Outgoing,
  QueueSpec,
  Receiver,
  ReceiverOptions,
  Sender,
  Source,
  Verdict,
  WireMessage,
} from '@msgloop/core/driver'
import { type ManualClock, manualClock } from '@msgloop/core/testing'
import { expect } from 'vitest'
import { type MemoryOptions, memory } from './src/index.js'

export const never = new AbortController().signal

export const MINUTE_MS = 60_000
export const DAY_MS = 86_400_000
export const YEAR_MS = 365 * DAY_MS

export const ORDERS: QueueSpec = {
  kind: 'queue',
  name: 'orders',
  role: 'work',
  deadLetter: 'orders.dlq',
  deliveryLimit: 100,
  leaseMs: 30_000,
  dedupWindowMs: 0,
  order: 'none',
}

export const ORDERS_DLQ: QueueSpec = {
  kind: 'queue',
  name: 'orders.dlq',
  role: 'dead-letter',
  leaseMs: 30_000,
  dedupWindowMs: 0,
  order: 'none',
}

export function message(id: string, fields: Partial<WireMessage> = {}): WireMessage {
  return { id, body: Buffer.from(`body of ${id}`), headers: {}, timestamp: 1, ...fields }
}

export function outgoing(id: string, delayMs = 0, fields: Partial<WireMessage> = {}): Outgoing {
  return { message: message(id, fields), delayMs }
}

export const ids = (deliveries: readonly Delivery[]): string[] => deliveries.map(({ message }) => message.id)

/** A driver with queue `orders` and its dead-letter queue, a sender, and a clock that stands still. */
export interface Bench {
  readonly clock: ManualClock
  readonly driver: Driver
  readonly sender: Sender
  readonly spec: QueueSpec
  send(...ids: string[]): Promise<void>
  receiver(options?: Partial<ReceiverOptions> & { spec?: QueueSpec }): Promise<Receiver>
}

export async function bench(
  options: Omit<MemoryOptions, 'clock'> = {},
  settings: Partial<QueueSpec> = {},
): Promise<Bench> {
  const clock = manualClock()
  const driver = memory({ clock, ...options })
  const spec = { ...ORDERS, ...settings }
  await driver.admin.declare(ORDERS_DLQ, never)
  await driver.admin.declare(spec, never)
  const sender = await driver.openSender(spec, never)
  return {
    clock,
    driver,
    sender,
    spec,
    async send(...ids) {
      expect(
        await sender.send(
          ids.map((id) => outgoing(id)),
          never,
        ),
      ).toEqual([])
    },
    receiver: ({ spec: source = spec, ...given } = {}) => openReceiver(driver, source, given),
  }
}

export function openReceiver(
  driver: Driver,
  source: Source,
  options: Partial<ReceiverOptions> = {},
): Promise<Receiver> {
  return driver.openReceiver(
    source,
    { prefetch: 1_000, leaseMs: 30_000, consumer: 'test', onLost: () => {}, ...options },
    never,
  )
}

/** What is there now. */
export const take = (receiver: Receiver, max = 1_000): Promise<readonly Delivery[]> =>
  receiver.receive(max, 0, never)

export async function takeOne(receiver: Receiver): Promise<Delivery> {
  const [delivery] = await take(receiver, 1)
  if (!delivery) throw new Error('expected a message to be ready, found none')
  return delivery
}

/** Settles one delivery; resolves with the code it failed with, or `ok`. */
export async function settle(receiver: Receiver, { token }: Delivery, verdict: Verdict): Promise<string> {
  const [failure] = await receiver.settle([{ token, verdict }])
  return failure ? code(failure.error) : 'ok'
}

export function code(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : `not sorted: ${error}`
}

export const ack: Verdict = { kind: 'ack' }
export const release: Verdict = { kind: 'release' }
export const retry = (delayMs = 0, headers: Record<string, string> = {}): Verdict => ({
  kind: 'retry',
  delayMs,
  headers,
})
export const move = (to: string, headers: Record<string, string> = {}): Verdict => ({
  kind: 'move',
  to,
  headers,
})
