import { randomUUID } from 'node:crypto'
import type { Broker, QueueOptions, TopologyDefinition } from '@msgloop/core'
import { defineQueue, describeDrift } from '@msgloop/core'
import { connect } from 'msgloop'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'

/** One way in which what a broker has can differ from what is defined. */
export interface DriftRow {
  readonly what: string
  /** Of the queue that is wanted. */
  readonly options?: QueueOptions<unknown>
  /** Instead of a queue of that name: what is wanted beside it. */
  readonly wants?: (name: string) => TopologyDefinition
  /** Makes the difference with the broker's own client. What is wanted is in place already where `after` says so. */
  readonly make: (name: string) => Promise<unknown>
  readonly after?: true
  /** Among the messages. `missing` things are created by `apply`, the rest is refused by it. */
  readonly says: (name: string) => string | RegExp
}

export interface DriftBed {
  readonly url: string
  readonly stop: () => Promise<unknown>
}

/** Every difference is told before anything starts, by the field it is in, and nothing is changed. */
export function describeDrifts(
  name: string,
  start: () => Promise<DriftBed>,
  rows: readonly DriftRow[],
): void {
  describe(`what differs on ${name}`, () => {
    let bed: DriftBed
    let broker: Broker
    beforeAll(async () => {
      bed = await start()
    })
    afterAll(() => bed?.stop())
    beforeEach(async () => {
      broker = await connect(bed.url)
    })
    afterEach(() => broker.close())

    test.each(rows)('$what', async ({ options, wants, make, after, says }) => {
      const queue = `drift-${randomUUID().slice(0, 8)}`
      const wanted = wants?.(queue) ?? { queues: [defineQueue(queue, options)] }
      if (after) await broker.topology.apply(wanted)
      await make(queue)
      const drifts = await broker.topology.verify(wanted)
      const said = drifts.map(describeDrift)
      const expected = says(queue)
      const told = drifts.find((_, at) => {
        const line = said[at] ?? ''
        return typeof expected === 'string' ? line === expected : expected.test(line)
      })
      expect(said, `one of them says ${expected}`).toSatisfy(() => told !== undefined)
      const applied = await broker.topology.apply(wanted).then(
        () => undefined,
        (error: unknown) => error,
      )
      if (drifts.every(({ field }) => field === undefined)) {
        expect(applied).toBeUndefined()
        expect(await broker.topology.verify(wanted)).toEqual([])
      } else {
        expect(applied).toMatchObject({ code: 'DRIFT' })
        // What is only missing is not what it was refused for.
        if (told?.field !== undefined) expect(String(applied)).toMatch(asPattern(expected))
        expect((await broker.topology.verify(wanted)).map(describeDrift)).toEqual(said)
      }
    })

    test('many processes that apply the same at once all succeed', async () => {
      const queue = `apply-${randomUUID().slice(0, 8)}`
      const wanted = { queues: [queue] }
      const others = await Promise.all(Array.from({ length: 4 }, () => connect(bed.url)))
      const plans = await Promise.all(others.map(({ topology }) => topology.apply(wanted)))
      expect(plans[0]?.objects.map(({ kind }) => kind)).toEqual(['dead-letter queue', 'queue'])
      expect(await broker.topology.verify(wanted)).toEqual([])
      const again = await broker.topology.apply(wanted)
      expect(again.objects.map(({ action }) => action)).toEqual(['keep', 'keep'])
      await Promise.all(others.map((other) => other.close()))
    })
  })
}

function asPattern(expected: string | RegExp): RegExp {
  if (typeof expected !== 'string') return new RegExp(expected.source.replace(/^\^|\$$/g, ''))
  return new RegExp(expected.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
}
