import { createBroker, defineQueue, fixed } from '@msgloop/core'
import type { Driver } from '@msgloop/core/driver'

/** What the handler of `holdMessage` returns. */
export const HELD_ANSWER = 'held until the end'

/** The queue of cases that kill a consumer's process: both sides must define it alike. `ordered…` has order by key. */
export function heldQueue(name: string) {
  const order = name.startsWith('ordered') ? 'key' : 'none'
  return defineQueue<unknown>(name, { lease: '1s', retry: fixed({ attempts: 5, delay: 100 }), order })
}

/**
 * The program of a harness's `spawnConsumer`: consumes `queue`, and prints `started <message id>` on a
 * line of its own when its handler has been given a message. The handler never ends, but for SIGTERM:
 * then it returns `HELD_ANSWER` after a moment, and the process ends, by `broker.closeOn`.
 *
 * @example
 * // child.js, started as `node child.js <queue>`
 * await holdMessage(rabbitmq(url), process.argv[2])
 */
export async function holdMessage(driver: Driver, queue: string): Promise<void> {
  const broker = createBroker(driver)
  broker.closeOn('SIGTERM')
  const terminated = new Promise<void>((resolve) => {
    process.once('SIGTERM', () => setTimeout(resolve, 100))
  })
  const consumer = broker.queue(heldQueue(queue)).consume(
    async (_, message) => {
      process.stdout.write(`started ${message.id}\n`)
      await terminated
      return HELD_ANSWER
    },
    { concurrency: 1 },
  )
  await consumer.ready
}
