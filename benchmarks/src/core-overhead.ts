import { createBroker, defineQueue } from '@msgloop/core'
import { measure, median } from './measure.js'
import { noopDriver } from './noop-driver.js'

const COUNT = 300_000
const ROUNDS = 5
const BODY = { id: 7, name: 'ada', items: [1, 2, 3] }

/** CPU the core itself takes per message, each way. */
export async function coreOverhead(print: (line: string) => void): Promise<void> {
  const sends: number[] = []
  const receives: number[] = []
  for (let round = 0; round <= ROUNDS; round++) {
    const broker = createBroker(noopDriver(COUNT))
    const queue = broker.queue(defineQueue('noop'))
    const send = await measure(COUNT, async () => {
      for (let sent = 0; sent < COUNT; sent += 1_000)
        await Promise.all(Array.from({ length: 1_000 }, () => queue.send(BODY)))
    })
    const receive = await measure(COUNT, async () => {
      let handled = 0
      await new Promise<void>((resolve) => {
        queue.consume(
          () => {
            if (++handled === COUNT) resolve()
          },
          { concurrency: 100 },
        )
      })
    })
    await broker.close()
    if (round === 0) continue
    sends.push(send.cpuMicros)
    receives.push(receive.cpuMicros)
  }
  print(
    `core alone, no-op driver: send ${median(sends).toFixed(2)} µs CPU, receive ${median(receives).toFixed(2)} µs CPU per message`,
  )
}
