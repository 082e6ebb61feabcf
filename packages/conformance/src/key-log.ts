import assert from 'node:assert/strict'
import type { Queue } from '@msgloop/core'
import { partitionOf } from '@msgloop/core/driver'

export interface Numbered {
  readonly key: string
  readonly n: number
}

/** What handlers did to the messages of each key, whichever consumer they belong to. */
export class KeyLog {
  /** Numbers in the order of their completion, the first of each. */
  readonly #done = new Map<string, number[]>()
  readonly #running = new Map<string, number>()
  /** Where order was broken. */
  readonly faults: string[] = []
  completed = 0

  /** A handler that does `work`; a message is done when that ends without an error. */
  handler(work: (body: Numbered, nth: number) => unknown = () => {}): (body: Numbered) => Promise<void> {
    const counts = new Map<string, number>()
    return async (body) => {
      const { key, n } = body
      const name = `${key}:${n}`
      const nth = (counts.get(name) ?? 0) + 1
      counts.set(name, nth)
      const done = this.#doneOf(key)
      const next = done.length
      if (n > next) this.faults.push(`${name} began before ${key}:${next} was done`)
      const running = this.#running.get(key) ?? 0
      if (running > 0) this.faults.push(`${name} began while another of its key ran`)
      this.#running.set(key, running + 1)
      try {
        await work(body, nth)
        if (n === done.length) {
          done.push(n)
          this.completed++
        }
      } finally {
        this.#running.set(key, (this.#running.get(key) ?? 1) - 1)
      }
    }
  }

  /** Handlers of a process that was cut off may go on beside those that took over: only order counts then. */
  get reordered(): string[] {
    return this.faults.filter((fault) => fault.includes('was done'))
  }

  assertInOrder(): void {
    assert.deepEqual(this.faults, [])
  }

  #doneOf(key: string): number[] {
    const done = this.#done.get(key) ?? []
    this.#done.set(key, done)
    return done
  }
}

/**
 * Sends `each` numbered messages per key, keys mixed. One of each key is under way at a time: where a broker refuses one
 * for now and stores the next of its key, the core does not send it again.
 */
export async function sendNumbered(
  queue: Queue<Numbered>,
  keys: readonly string[],
  each: number,
): Promise<void> {
  for (let n = 0; n < each; n++) {
    const results = await queue.sendBatch(keys.map((key) => ({ body: { key, n }, key })))
    assert.deepEqual(
      results.filter((result) => !result.ok),
      [],
    )
  }
}

/** Keys of which no two are in one partition, nor in one with `other`: where brokers partition, those wait for each other. */
export function keysApart(count: number, other: string): string[] {
  const taken = new Set([partitionOf(other)])
  const keys: string[] = []
  for (let n = 0; keys.length < count; n++) {
    const partition = partitionOf(`key-${n}`)
    if (taken.has(partition)) continue
    taken.add(partition)
    keys.push(`key-${n}`)
  }
  return keys
}

export function keysNamed(count: number): string[] {
  return Array.from({ length: count }, (_, n) => `key-${n}`)
}
