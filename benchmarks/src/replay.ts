import { randomUUID } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import type { Consumer } from '@msgloop/core'
import { defineQueue, Reject } from '@msgloop/core'
import { connect } from 'msgloop'

const SECONDS_ALLOWED = 60
const CONCURRENCY = 200

/** Dead-letters `count` messages and prints how long their replay takes; each must be in its queue again. */
export async function replay(url: string, count: number, print: (line: string) => void): Promise<void> {
  const broker = await connect(url)
  const definition = defineQueue<{ n: number }>(`replay-${randomUUID()}`)
  const queue = broker.queue(definition)
  let consumer: Consumer | undefined
  try {
    const dead = new Promise<void>((resolve) => {
      let handled = 0
      consumer = queue.consume(
        () => {
          if (++handled === count) resolve()
          throw new Reject('for the sake of the benchmark')
        },
        { concurrency: CONCURRENCY },
      )
    })
    const sent = await queue.sendBatch(Array.from({ length: count }, (_, n) => ({ body: { n } })))
    const unsent = sent.find(({ ok }) => !ok)
    if (unsent && !unsent.ok) throw unsent.error
    await dead
  } finally {
    await broker.close()
  }

  const fresh = await connect(url)
  try {
    const { deadLetters } = fresh.queue(definition)
    const begun = performance.now()
    const { replayed, failed } = await deadLetters.replay()
    const seconds = (performance.now() - begun) / 1_000
    print(
      `replay ${fresh.name}: ${replayed} of ${count} entries in ${seconds.toFixed(1)} s, ` +
        `${Math.round(replayed / seconds)} in a second, ${failed} failed`,
    )
    const back = new Set<string>()
    await new Promise<void>((resolve) => {
      consumer = fresh.queue(definition).consume(
        (_, { id }) => {
          back.add(id)
          if (back.size === count) resolve()
        },
        { concurrency: CONCURRENCY },
      )
    })
    if (seconds > SECONDS_ALLOWED) throw new Error(`it may take ${SECONDS_ALLOWED} s`)
  } finally {
    await consumer?.close()
    await fresh.queue(definition).delete()
    await fresh.queue(definition).deadLetters.queue.delete()
    await fresh.close()
  }
}
