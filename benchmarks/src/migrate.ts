import { randomUUID } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import type { Queue } from '@msgloop/core'
import { defineQueue } from '@msgloop/core'
import { Migration } from '@msgloop/migrate'
import { connect, openDriver } from 'msgloop'
import { median } from './measure.js'

const WINDOW = 500
const ROUNDS = 3
const CONCURRENCY = 500

/** The bridge against the slower of what it is made of: consuming from the source, and sending to the target. */
export async function migrate(
  from: string,
  to: string,
  count: number,
  print: (line: string) => void,
): Promise<void> {
  const [source, target] = [await connect(from), await connect(to)]
  const rates = { consume: [] as number[], send: [] as number[], bridge: [] as number[] }
  const memory: number[] = []
  try {
    for (let round = 0; round <= ROUNDS; round++) {
      const definition = defineQueue<{ n: number }>(`migrate-${randomUUID()}`)
      const [before, after] = [source.queue(definition), target.queue(definition)]
      const send = await rate(count, () => fill(after, count))
      await after.purge()
      await fill(before, count)
      const consume = await rate(count, () => empty(before, count))
      await fill(before, count)
      const bridge = await moved(from, to, definition, count, memory)
      // The first round warms up.
      if (round > 0) {
        rates.send.push(send)
        rates.consume.push(consume)
        rates.bridge.push(bridge)
      }
      for (const queue of [before, after]) {
        await queue.delete()
        await queue.deadLetters.queue.delete()
      }
    }
  } finally {
    await Promise.all([source.close(), target.close()])
  }
  const [send, consume, bridge] = [median(rates.send), median(rates.consume), median(rates.bridge)]
  const k = (perSecond: number): string => `${(perSecond / 1_000).toFixed(1)} k/s`
  print(
    `migrate ${source.name} to ${target.name}: ${(bridge / Math.min(send, consume)).toFixed(2)} x the slower side; ` +
      `bridge ${k(bridge)}, consume ${k(consume)}, send ${k(send)}; ${count} messages, ` +
      `RSS ${(Math.min(...memory) / 1e6).toFixed(0)} to ${(Math.max(...memory) / 1e6).toFixed(0)} MB while it ran`,
  )
}

async function moved(
  from: string,
  to: string,
  definition: ReturnType<typeof defineQueue<{ n: number }>>,
  count: number,
  memory: number[],
): Promise<number> {
  const state = await mkdtemp(join(tmpdir(), 'msgloop-bench-'))
  const drivers = [await openDriver(from), await openDriver(to)] as const
  try {
    const migration = await Migration.open({ from: drivers[0], to: drivers[1], queues: [definition], state })
    await migration.prepare()
    const stop = new AbortController()
    const begun = performance.now()
    let seconds = 0
    await migration.drain({
      quiet: 0,
      signal: stop.signal,
      onProgress(progress) {
        memory.push(process.memoryUsage().rss)
        if (progress.moved < count || seconds > 0) return
        seconds = (performance.now() - begun) / 1_000
        stop.abort()
      },
    })
    return count / seconds
  } finally {
    await Promise.all(drivers.map((driver) => driver.close()))
    await rm(state, { recursive: true })
  }
}

async function rate(count: number, run: () => Promise<void>): Promise<number> {
  const begun = performance.now()
  await run()
  return count / ((performance.now() - begun) / 1_000)
}

async function fill(queue: Queue<{ n: number }>, count: number): Promise<void> {
  for (let sent = 0; sent < count; sent += WINDOW)
    await Promise.all(Array.from({ length: WINDOW }, (_, i) => queue.send({ n: sent + i })))
}

async function empty(queue: Queue<{ n: number }>, count: number): Promise<void> {
  let handled = 0
  let finish: () => void = () => {}
  const done = new Promise<void>((resolve) => {
    finish = resolve
  })
  const consumer = queue.consume(
    () => {
      if (++handled === count) finish()
    },
    { concurrency: CONCURRENCY },
  )
  await done
  await consumer.close()
}
