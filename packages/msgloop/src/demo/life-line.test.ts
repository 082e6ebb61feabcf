import type { FlowEvent } from '@msgloop/core'
import pc from 'picocolors'
import { expect, test } from 'vitest'
import type { Life, Step } from './ledger.js'
import { Ledger } from './ledger.js'
import { lifeLine } from './life-line.js'

const event = (step: FlowEvent['step'], at: number, more: Partial<FlowEvent> = {}): FlowEvent => ({
  step,
  at,
  broker: 'memory',
  queue: 'mails',
  messageId: 'mail-01',
  type: 'user.welcome',
  ...more,
})
const line = (steps: Step[], state: Life['state'] = 'processed', colours = false): string =>
  lifeLine({ id: 'mail-01', steps, state }, 'ada@shop.example', pc.createColors(colours))

test('a life without trouble is one line', () => {
  const steps = [
    event('sent', 1),
    event('received', 2, { consumer: 'A' }),
    event('started', 2, { consumer: 'A' }),
    event('acked', 90, { consumer: 'A', durationMs: 88.4, deliveries: 1 }),
  ]
  expect(line(steps)).toBe(' ✓ mail-01 user.welcome        ada@shop.example   sent → A ✓ 88 ms')
})

test('what another process reports late is told in order of time', () => {
  const steps: Step[] = [
    event('acked', 90, { consumer: 'B', durationMs: 10, deliveries: 2 }),
    event('sent', 1),
    { step: 'killed', consumer: 'C', at: 50 },
  ]
  expect(line(steps)).toMatch(/sent → C killed → B ✓ 10 ms, delivery 2$/)
})

test('a long life is wrapped at 100 columns, colours not counted', () => {
  const error = { name: 'Error', message: 'the template is broken in a way that takes long to tell' }
  const steps = [1, 2, 3, 4, 5].map((attempt) =>
    event('retried', attempt, { consumer: 'A', delayMs: 12_345, error }),
  )
  const plain = line(steps)
  expect(plain.split('\n').length).toBeGreaterThan(1)
  for (const each of plain.split('\n')) expect(each.length).toBeLessThanOrEqual(100)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: what colours are made of
  expect(line(steps, 'processed', true).replaceAll(/\u001b\[\d+m/g, '')).toBe(plain)
})

test('after a replay only what followed it is told', () => {
  const dead = event('dead-lettered', 2, { consumer: 'A', reason: 'exhausted' })
  expect(line([event('sent', 1), dead], 'dead')).toMatch(/^ ✗ .*dead: exhausted$/)
  const steps = [
    event('sent', 1),
    dead,
    event('replayed', 3),
    event('acked', 4, { consumer: 'B', durationMs: 5 }),
  ]
  expect(line(steps)).toMatch(/example {3}replayed from the dead-letter queue → B ✓ 5 ms$/)
})

test('the ledger waits for the last life to end, and again for what is replayed', async () => {
  const told: string[] = []
  const ledger = new Ledger('mails', (life) => told.push(`${life.id} ${life.state}`))
  const take = (step: FlowEvent['step'], messageId: string, queue = 'mails'): void =>
    ledger.take({ kind: 'flow', event: event(step, 1, { messageId, queue }) })
  const ended = async (): Promise<boolean> =>
    Promise.race([
      ledger.ended(['a', 'b']).then(() => true),
      Promise.resolve().then(() => Promise.resolve(false)),
    ])
  take('acked', 'a')
  take('acked', 'b', 'another queue')
  expect(await ended()).toBe(false)
  take('dead-lettered', 'b')
  expect(await ended()).toBe(true)
  take('replayed', 'b')
  expect(await ended()).toBe(false)
  take('acked', 'b')
  take('replayed', 'b')
  expect(await ended()).toBe(true)
  expect(told).toEqual(['a processed', 'b dead', 'b processed'])
})
