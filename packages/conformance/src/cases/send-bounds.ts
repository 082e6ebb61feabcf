import { bytes } from '@msgloop/core'
import type { Case } from '../case.js'
import { holdSends } from '../decorate.js'
import { between } from '../expect.js'
import { deferred, pause } from '../wait.js'

export const sendBoundCases: readonly Case[] = [
  {
    id: 'S9-count',
    clauses: ['S9'],
    name: 'past the bound on unconfirmed sends the next ones wait, and all are sent in the end',
    async run(t) {
      const gate = deferred()
      let held = 0
      const queue = await t.queue(
        {},
        {
          maxUnconfirmed: 10,
          wrap: (driver) =>
            holdSends(driver, gate.promise, (count) => {
              held += count
            }),
        },
      )
      const sends = Promise.all(Array.from({ length: 100 }, (_, n) => queue.send(n)))
      await t.until(
        'the first sends',
        () => held,
        (count) => count > 0,
      )
      await pause(100)
      between('messages handed to the driver unconfirmed', held, 1, 10)
      gate.resolve()
      await t.settled('every send to resolve', sends)
      const runs = t.consume(queue)
      await t.count('messages', runs.list, 100)
    },
  },
  {
    id: 'S9-bytes',
    clauses: ['S9'],
    name: 'past the bound on unconfirmed bytes the next sends wait, and a larger message still passes alone',
    async run(t) {
      const gate = deferred()
      let held = 0
      const queue = await t.queue(
        { codec: bytes() },
        {
          maxUnconfirmedBytes: 10_000,
          wrap: (driver) =>
            holdSends(driver, gate.promise, (_, size) => {
              held += size
            }),
        },
      )
      const sends = Promise.all(Array.from({ length: 40 }, () => queue.send(new Uint8Array(1_000))))
      await t.until(
        'the first sends',
        () => held,
        (size) => size > 0,
      )
      await pause(100)
      between('bytes handed to the driver unconfirmed', held, 1_000, 10_000)
      gate.resolve()
      await t.settled('every send to resolve', sends)
      await t.settled('a send larger than the bound', queue.send(new Uint8Array(20_000)))
    },
  },
]
