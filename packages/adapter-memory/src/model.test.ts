import type { Delivery, Receiver, Verdict } from '@msgloop/core/driver'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Bench } from '../test-support.js'
import { bench, ids, never, ORDERS_DLQ, outgoing, take } from '../test-support.js'
import { memoryFaults } from './faults.js'

const RECEIVERS = 3
const LEASE_MS = 100
const DELIVERY_LIMIT = 4

type Command =
  | { readonly kind: 'send'; readonly count: number; readonly delayMs: number }
  | { readonly kind: 'receive'; readonly who: number; readonly max: number }
  | {
      readonly kind: 'settle'
      readonly pick: number
      readonly verdict: Verdict['kind']
      readonly delayMs: number
    }
  | { readonly kind: 'extend'; readonly pick: number; readonly leaseMs: number }
  | { readonly kind: 'advance'; readonly ms: number }
  | { readonly kind: 'close'; readonly who: number }
  | { readonly kind: 'disconnect' }

/** Often a whole lease or a millisecond beside it: that is where mistakes live. */
const ms = fc.oneof(fc.nat(250), fc.constantFrom(0, 1, LEASE_MS - 1, LEASE_MS, LEASE_MS + 1))
const who = fc.nat(RECEIVERS - 1)
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('send'), count: fc.integer({ min: 1, max: 3 }), delayMs: ms }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('receive'), who, max: fc.integer({ min: 1, max: 4 }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('settle'),
      pick: fc.nat(11),
      verdict: fc.constantFrom('ack', 'retry', 'release', 'move'),
      delayMs: ms,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('extend'), pick: fc.nat(11), leaseMs: ms.map((n) => n + 1) }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('advance'), ms }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('close'), who }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('disconnect') }) },
)

/** What the contract says of one message. */
interface Expected {
  state: 'ready' | 'delayed' | 'leased' | 'gone' | 'dead'
  /** End of the delay or of the lease. */
  until: number
  deliveries: number
  holder: Handed | undefined
}

/** A delivery that was handed out, some time. */
interface Handed {
  readonly delivery: Delivery
  readonly receiver: Receiver
  state: 'held' | 'settled' | 'lost'
}

/** The contract, as plainly as it can be said: a list of messages and no queue at all. */
class Model {
  readonly messages = new Map<string, Expected>()
  now = 0

  advance(ms: number): void {
    this.now += ms
    for (const message of this.messages.values()) {
      if (message.until > this.now) continue
      if (message.state === 'delayed') message.state = 'ready'
      if (message.state === 'leased') this.lose(message)
    }
  }

  lose(message: Expected): void {
    if (message.holder) message.holder.state = 'lost'
    message.holder = undefined
    message.state = message.deliveries >= DELIVERY_LIMIT ? 'dead' : 'ready'
  }

  loseAll(of: (handed: Handed) => boolean): void {
    for (const message of this.messages.values()) if (message.holder && of(message.holder)) this.lose(message)
  }

  in(state: Expected['state']): string[] {
    return [...this.messages].filter(([, message]) => message.state === state).map(([id]) => id)
  }

  get(id: string): Expected {
    const message = this.messages.get(id)
    if (!message) throw new Error(`expected ${id} to have been sent`)
    return message
  }
}

class Run {
  readonly model = new Model()
  readonly handed: Handed[] = []
  #bench: Bench
  readonly #receivers: Receiver[] = []
  #sent = 0

  constructor(bench: Bench) {
    this.#bench = bench
  }

  async open(): Promise<void> {
    for (let i = 0; i < RECEIVERS; i++) this.#receivers[i] = await this.#bench.receiver({ leaseMs: LEASE_MS })
  }

  async step(command: Command): Promise<void> {
    const { model } = this
    switch (command.kind) {
      case 'send': {
        const { count, delayMs } = command
        const batch = Array.from({ length: count }, () => outgoing(`${this.#sent++}`, delayMs))
        expect(await this.#bench.sender.send(batch, never)).toEqual([])
        const state = delayMs > 0 ? 'delayed' : 'ready'
        for (const { message } of batch)
          model.messages.set(message.id, {
            state,
            until: model.now + delayMs,
            deliveries: 0,
            holder: undefined,
          })
        return
      }
      case 'receive':
        return this.#receive(command.who, command.max)
      case 'settle':
        return this.#settle(command)
      case 'extend': {
        const handed = this.#pick(command.pick)
        if (!handed) return
        const failures = await handed.receiver.extend?.([handed.delivery.token], command.leaseMs)
        expect(failures?.length).toBe(handed.state === 'held' ? 0 : 1)
        if (handed.state === 'held') model.get(handed.delivery.message.id).until = model.now + command.leaseMs
        return
      }
      case 'advance':
        await this.#bench.clock.advance(command.ms)
        return model.advance(command.ms)
      case 'close': {
        const closing = this.#receivers[command.who]
        await closing?.close()
        model.loseAll(({ receiver }) => receiver === closing)
        this.#receivers[command.who] = await this.#bench.receiver({ leaseMs: LEASE_MS })
        return
      }
      case 'disconnect':
        memoryFaults(this.#bench.driver).disconnect()
        model.loseAll(() => true)
        this.#bench = await reconnect(this.#bench)
        return this.open()
      default:
        command satisfies never
    }
  }

  async #receive(who: number, max: number): Promise<void> {
    const { model } = this
    const receiver = this.#receivers[who]
    if (!receiver) throw new Error('expected a receiver')
    const ready = model.in('ready')
    const deliveries = await take(receiver, max)
    expect(deliveries.length).toBe(Math.min(max, ready.length))
    for (const delivery of deliveries) {
      const { id } = delivery.message
      const message = model.get(id)
      expect([id, message.state]).toEqual([id, 'ready'])
      message.deliveries++
      expect([id, delivery.deliveries]).toEqual([id, message.deliveries])
      const handed: Handed = { delivery, receiver, state: 'held' }
      this.handed.push(handed)
      Object.assign(message, { state: 'leased', until: model.now + LEASE_MS, holder: handed })
    }
  }

  async #settle({ pick, verdict: kind, delayMs }: Command & { readonly kind: 'settle' }): Promise<void> {
    const handed = this.#pick(pick)
    if (!handed) return
    const message = this.model.get(handed.delivery.message.id)
    const headers = { 'msgloop-deliveries': `${message.deliveries}` }
    const verdict: Verdict = { kind, delayMs, headers, to: ORDERS_DLQ.name }
    const failures = await handed.receiver.settle([{ token: handed.delivery.token, verdict }])
    expect(failures.map(({ error }) => error)).toMatchObject(
      handed.state === 'lost' ? [{ code: 'LEASE_LOST' }] : [],
    )
    if (handed.state !== 'held') return
    handed.state = 'settled'
    message.holder = undefined
    if (kind === 'release') message.deliveries--
    if (kind === 'ack') message.state = 'gone'
    if (kind === 'move') message.state = 'dead'
    if (kind === 'release' || kind === 'retry') {
      message.state = kind === 'retry' && delayMs > 0 ? 'delayed' : 'ready'
      message.until = this.model.now + delayMs
    }
  }

  /** One of the latest deliveries, whatever became of it. */
  #pick(back: number): Handed | undefined {
    return this.handed[this.handed.length - 1 - back]
  }

  async check(): Promise<void> {
    const { model } = this
    const { admin } = this.#bench.driver
    expect(await admin.stats(this.#bench.spec, never)).toMatchObject({
      ready: model.in('ready').length,
      delayed: model.in('delayed').length,
      inFlight: model.in('leased').length,
    })
  }

  /** Every message that was taken and not acked can still be had, once. */
  async drain(): Promise<void> {
    const { model } = this
    await this.step({ kind: 'disconnect' })
    await this.step({ kind: 'advance', ms: 1_000 })
    const [receiver] = this.#receivers
    if (!receiver) throw new Error('expected a receiver')
    expect(ids(await take(receiver)).sort()).toEqual(model.in('ready').sort())
    const dead = await this.#bench.receiver({ spec: ORDERS_DLQ })
    expect(ids(await take(dead)).sort()).toEqual(model.in('dead').sort())
  }
}

async function reconnect(old: Bench): Promise<Bench> {
  return { ...old, sender: await old.driver.openSender(old.spec, never) }
}

test('whatever is done in whatever order: no message is lost, none has two holders, and deliveries are counted', async () => {
  const commands = fc.array(command, { maxLength: 100, size: 'max' })
  await fc.assert(
    fc.asyncProperty(commands, async (steps) => {
      const run = new Run(await bench({}, { deliveryLimit: DELIVERY_LIMIT }))
      await run.open()
      for (const step of steps) {
        await run.step(step)
        await run.check()
      }
      await run.drain()
    }),
    { numRuns: 1_000 },
  )
}, 30_000)
