import { randomUUID } from 'node:crypto'
import type { Queue } from '@msgloop/core'
import { connect, defineQueue } from 'msgloop'
import { measure, sideBySide } from './measure.js'
import type { Rival } from './rival.js'

const WINDOW = 1_000
const BODY = {
  id: 7,
  customer: 'ada@example.com',
  items: Array.from({ length: 10 }, (_, i) => ({ sku: i, price: 9.95 })),
}

export interface VersusOptions {
  readonly url: string
  readonly rivals: readonly Rival[]
  /** Messages of one round. */
  readonly count: number
  readonly rounds: number
  readonly concurrency: number
}

/** msgloop / each rival, on one broker, in one run: `send` with 1000 unconfirmed, then consume and ack. */
export async function versusRivals(options: VersusOptions, print: (line: string) => void): Promise<void> {
  const { url, rivals, count, rounds, concurrency } = options
  const broker = await connect(url)
  const queue = broker.queue(defineQueue<typeof BODY>(`bench-${randomUUID()}`))
  await queue.stats()
  try {
    for (const rival of rivals) {
      const send = await sideBySide(
        rounds,
        async () => {
          const sample = await measure(count, () => sendOurs(queue, count))
          await queue.purge()
          return sample
        },
        async () => {
          const sample = await measure(count, () => rival.send(count, WINDOW, BODY))
          await rival.purge()
          return sample
        },
      )
      print(line(`send against ${rival.name}`, send))
      const consume = await sideBySide(
        rounds,
        async () => {
          await sendOurs(queue, count)
          let close = async (): Promise<void> => {}
          const sample = await measure(count, async () => {
            const consuming = consumeOurs(queue, count, concurrency)
            close = consuming.close
            await consuming.done
          })
          await close()
          return sample
        },
        async () => {
          await rival.send(count, WINDOW, BODY)
          let close = async (): Promise<void> => {}
          const sample = await measure(count, async () => {
            close = await rival.consume(count, concurrency, () => {})
          })
          await close()
          return sample
        },
      )
      print(line(`consume and ack against ${rival.name}`, consume))
    }
  } finally {
    await queue.delete()
    await queue.deadLetters.queue.delete()
    for (const rival of rivals) await rival.close()
    await broker.close()
  }
}

async function sendOurs(queue: Queue<typeof BODY>, count: number): Promise<void> {
  for (let sent = 0; sent < count; sent += WINDOW)
    await Promise.all(Array.from({ length: Math.min(WINDOW, count - sent) }, () => queue.send(BODY)))
}

/** Until the last message is handled. Closing comes after, and is not measured on either side. */
function consumeOurs(
  queue: Queue<typeof BODY>,
  count: number,
  concurrency: number,
): { readonly done: Promise<void>; close(): Promise<void> } {
  let handled = 0
  let finish: () => void = () => {}
  const done = new Promise<void>((resolve) => {
    finish = resolve
  })
  const consumer = queue.consume(
    () => {
      if (++handled === count) finish()
    },
    { concurrency },
  )
  return { done, close: () => consumer.close() }
}

function line(what: string, { ratio, spread, ours, theirs }: Awaited<ReturnType<typeof sideBySide>>): string {
  const rate = (perSecond: number): string => `${(perSecond / 1_000).toFixed(1)} k/s`
  return `${what}: ${ratio.toFixed(2)} x (rounds ${spread}); ${rate(ours.perSecond)} / ${rate(theirs.perSecond)}; CPU per message ${ours.cpuMicros.toFixed(1)} / ${theirs.cpuMicros.toFixed(1)} µs`
}
