import { randomUUID } from 'node:crypto'
import { defineQueue } from '@msgloop/core'
import { connect } from 'msgloop'

const WINDOW = 500
const SAMPLES = 40

/** Sends and consumes `count` messages and prints by how much memory grew per million. */
export async function soak(url: string, count: number, print: (line: string) => void): Promise<void> {
  const broker = await connect(url)
  const queue = broker.queue(defineQueue<{ n: number }>(`soak-${randomUUID()}`))
  let handled = 0
  let done: () => void = () => {}
  const all = new Promise<void>((resolve) => {
    done = resolve
  })
  const consumer = queue.consume(
    () => {
      if (++handled === count) done()
    },
    { concurrency: 100 },
  )
  await consumer.ready
  const samples: { at: number; rss: number; heap: number }[] = []
  const every = Math.floor(count / SAMPLES)
  for (let sent = 0; sent < count; sent += WINDOW) {
    await Promise.all(Array.from({ length: WINDOW }, (_, i) => queue.send({ n: sent + i })))
    // The consumer is the slower side: unread messages are the broker's memory, on `memory:` ours.
    while (sent - handled > 20 * WINDOW) await new Promise((resolve) => setTimeout(resolve, 1))
    if (sent % every < WINDOW) {
      globalThis.gc?.()
      const { rss, heapUsed } = process.memoryUsage()
      samples.push({ at: sent, rss, heap: heapUsed })
    }
  }
  await all
  await consumer.close()
  await queue.delete()
  await queue.deadLetters.queue.delete()
  await broker.close()
  // The first quarter is the process finding its size.
  const steady = samples.slice(Math.floor(samples.length / 4))
  const mb = (bytes: number): string => (bytes / 1e6).toFixed(1)
  print(
    `soak ${broker.name}: ${count} messages; RSS ${mb(steady[0]?.rss ?? 0)} to ${mb(steady.at(-1)?.rss ?? 0)} MB, ` +
      `slope ${mb(slope(steady.map((s) => [s.at, s.rss])) * 1e6)} MB per million; ` +
      `heap after GC ${mb(slope(steady.map((s) => [s.at, s.heap])) * 1e6)} MB per million`,
  )
}

/** Least squares. */
function slope(points: readonly (readonly [number, number])[]): number {
  const mean = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0) / values.length
  const [mx, my] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))]
  const over = points.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0)
  return over / points.reduce((sum, [x]) => sum + (x - mx) ** 2, 0)
}
