import { randomUUID } from 'node:crypto'
import { rabbitmq } from '@msgloop/adapter-rabbitmq'
import type { Queue } from '@msgloop/core'
import { createBroker, defineQueue } from '@msgloop/core'
import type { Histogram } from 'hdr-histogram-js'
import { build } from 'hdr-histogram-js'
import { measure, sideBySide } from './measure.js'
import { RawAmqplib } from './raw-amqplib.js'

const COUNT = 20_000
const ROUNDS = 7
const WINDOW = 1_000
const PREFETCH = 100
const LATENCY_ROUNDS = 6
const LATENCY_COUNT = 1_000
const LATENCY_EVERY_MS = 2
const BODY = {
  id: 7,
  customer: 'ada@example.com',
  items: Array.from({ length: 10 }, (_, i) => ({ sku: i, price: 9.95 })),
}

/** msgloop / amqplib written by hand, on one broker, in one run. */
export async function versusAmqplib(url: string, print: (line: string) => void): Promise<void> {
  const broker = createBroker(rabbitmq({ url }))
  const name = `bench-${randomUUID()}`
  const queue = broker.queue(defineQueue<typeof BODY>(name))
  const raw = await RawAmqplib.open(url)
  await queue.stats()
  try {
    const send = await sideBySide(
      ROUNDS,
      async () => {
        const sample = await measure(COUNT, async () => {
          for (let sent = 0; sent < COUNT; sent += WINDOW)
            await Promise.all(Array.from({ length: WINDOW }, () => queue.send(BODY)))
        })
        await queue.purge()
        return sample
      },
      async () => {
        const sample = await measure(COUNT, () => raw.send(name, COUNT, WINDOW, BODY))
        await queue.purge()
        return sample
      },
    )
    print(line('send, 1000 unconfirmed at once', send))

    const consume = await sideBySide(
      ROUNDS,
      async () => {
        await raw.send(name, COUNT, WINDOW, BODY)
        let close = async (): Promise<void> => {}
        const sample = await measure(COUNT, async () => {
          const consuming = consumeOurs(queue, COUNT)
          close = consuming.close
          await consuming.done
        })
        await close()
        return sample
      },
      async () => {
        await raw.send(name, COUNT, WINDOW, BODY)
        let close = async (): Promise<void> => {}
        const sample = await measure(COUNT, async () => {
          close = await raw.consume(name, COUNT, PREFETCH, () => {})
        })
        await close()
        return sample
      },
    )
    print(line(`consume and ack, prefetch ${PREFETCH}`, consume))
    await latency(queue, name, raw, print)
  } finally {
    await queue.delete()
    await queue.deadLetters.queue.delete()
    await raw.close()
    await broker.close()
  }
}

/** Until the last message is handled. Closing comes after, and is not measured on either side. */
function consumeOurs(
  queue: Queue<typeof BODY>,
  count: number,
  handle: (body: typeof BODY) => void = () => {},
): { readonly done: Promise<void>; close(): Promise<void> } {
  let handled = 0
  let finish: () => void = () => {}
  const done = new Promise<void>((resolve) => {
    finish = resolve
  })
  const consumer = queue.consume(
    (body) => {
      handle(body)
      if (++handled === count) finish()
    },
    { concurrency: PREFETCH },
  )
  return { done, close: () => consumer.close() }
}

/** One message every 2 ms from send to handler, ours and theirs in turn. */
async function latency(
  queue: Queue<typeof BODY>,
  name: string,
  raw: RawAmqplib,
  print: (line: string) => void,
): Promise<void> {
  const ours = histogram()
  const theirs = histogram()
  const record = (into: Histogram) => (body: unknown) => {
    into.recordValue(Math.round((performance.now() - (body as { at: number }).at) * 1_000))
  }
  for (let round = 0; round < LATENCY_ROUNDS; round++) {
    const consuming = consumeOurs(queue, LATENCY_COUNT, record(round === 0 ? histogram() : ours))
    await paced((body) => queue.send(body))
    await consuming.done
    await consuming.close()
    const rawDone = raw.consume(name, LATENCY_COUNT, PREFETCH, record(round === 0 ? histogram() : theirs))
    const sender = await raw.sender(name)
    await paced((body) => sender.send(body))
    await (await rawDone)()
    await sender.close()
  }
  for (const p of [50, 99]) {
    const [a, b] = [ours.getValueAtPercentile(p) / 1_000, theirs.getValueAtPercentile(p) / 1_000]
    print(
      `end to end p${p}: msgloop ${a.toFixed(2)} ms, amqplib ${b.toFixed(2)} ms, difference ${(a - b).toFixed(2)} ms`,
    )
  }
}

async function paced(send: (body: typeof BODY & { at: number }) => Promise<unknown>): Promise<void> {
  const begun = performance.now()
  const all: Promise<unknown>[] = []
  for (let n = 0; n < LATENCY_COUNT; n++) {
    const wait = begun + n * LATENCY_EVERY_MS - performance.now()
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait))
    all.push(send({ ...BODY, at: performance.now() }))
  }
  await Promise.all(all)
}

function histogram(): Histogram {
  return build({ highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: 3 })
}

function line(what: string, { ratio, spread, ours, theirs }: Awaited<ReturnType<typeof sideBySide>>): string {
  return `${what}: msgloop / amqplib = ${ratio.toFixed(2)} (rounds ${spread}); CPU per message ${ours.cpuMicros.toFixed(1)} µs / ${theirs.cpuMicros.toFixed(1)} µs`
}
