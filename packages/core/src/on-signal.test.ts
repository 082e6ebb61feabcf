import { once } from 'node:events'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { memory } from '../../adapter-memory/src/index.js'
import type { Broker } from './broker.js'
import { createBroker } from './create-broker.js'
import { defineQueue } from './define-queue.js'
import { MsgloopError } from './error.js'

/** One that nothing else here uses, and one that does nothing to a process that listens. */
const SIGNAL = 'SIGUSR2'
const MARK = 'SIGCONT'

/** What happened, in order. Listening also keeps the signal from ending this process. */
const log: string[] = []
const raised = (): void => void log.push('raised')
let brokers: Broker[] = []

const open = (): Broker => {
  const broker = createBroker(memory())
  brokers.push(broker)
  return broker
}
/** Those of msgloop. */
const listeners = (): number => process.listenerCount(SIGNAL) - 1

beforeEach(() => {
  process.on(SIGNAL, raised)
})

afterEach(async () => {
  for (const broker of brokers) await broker.close()
  expect(listeners()).toBe(0)
  process.off(SIGNAL, raised)
  log.length = 0
  brokers = []
})

/** Resolves when signals sent before have been heard. */
async function heard(): Promise<void> {
  const mark = once(process, MARK)
  process.kill(process.pid, MARK)
  await mark
}

test('a signal ends the process only when every broker that waits for it is closed', async () => {
  const [quick, slow] = [open(), open()]
  let end = (): void => {}
  const started = new Promise<void>((resolve) => {
    const queue = slow.queue(defineQueue<number>('q'))
    queue.consume(async () => {
      resolve()
      await new Promise<void>((done) => {
        end = done
      })
      log.push('handler ended')
    })
    void queue.send(1)
  })
  await started
  quick.closeOn(SIGNAL)
  slow.closeOn(SIGNAL)
  process.kill(process.pid, SIGNAL)
  await once(process, SIGNAL)
  await quick.close()
  await heard()
  log.push('quick closed')
  end()
  await once(process, SIGNAL)
  expect(log).toEqual(['raised', 'quick closed', 'handler ended', 'raised'])
  expect((await slow.health()).status).toBe('down')
})

test('a broker that was closed by hand is waited for by no signal, and others still are', async () => {
  const [first, second] = [open(), open()]
  first.closeOn(SIGNAL)
  second.closeOn(SIGNAL, SIGNAL)
  await first.close()
  expect(listeners()).toBe(1)
  process.kill(process.pid, SIGNAL)
  await once(process, SIGNAL)
  await once(process, SIGNAL)
  expect((await second.health()).status).toBe('down')
})

test('with nobody left to wait for it, a signal is heard by msgloop no more', async () => {
  const broker = open()
  broker.closeOn(SIGNAL)
  expect(listeners()).toBe(1)
  await broker.close()
  expect(listeners()).toBe(0)
})

test('closeOn with one bad signal among good ones listens to none of them', () => {
  expect(() => open().closeOn(SIGNAL, 'SIGKILL')).toThrow(/SIGKILL/)
  expect(listeners()).toBe(0)
})

test.each(['SIGKILL', 'SIGSTOP', 'SIGNOPE', 'sigterm', 'toString', '', 15, undefined, null])(
  'closeOn refuses %j, which no process can catch, as INVALID',
  (signal) => {
    const broker = open()
    const before = process.eventNames()
    expect(() => broker.closeOn(signal as NodeJS.Signals)).toThrow(
      expect.objectContaining({ constructor: MsgloopError, code: 'INVALID' }),
    )
    expect(process.eventNames()).toEqual(before)
  },
)
