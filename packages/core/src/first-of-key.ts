import type { Held } from './held.js'
import { RELEASE } from './judge.js'

/**
 * What may be settled by hand on a queue with order by key: of each key one at a time, since whoever has two can
 * settle them in any order. The others go back, in order, and come when the first is settled.
 */
export async function firstOfEachKey(batch: readonly Held[]): Promise<Held[]> {
  const keys = new Set<string>()
  const first: Held[] = []
  const others: Held[] = []
  for (const held of batch) {
    const { key } = held.delivery.message
    if (key !== undefined && keys.has(key)) others.push(held)
    else first.push(held)
    if (key !== undefined) keys.add(key)
  }
  await Promise.all(others.map((held) => held.intake.settle(held, RELEASE.verdict).catch(() => {})))
  return first
}
