import type { Failure } from './driver.js'

/**
 * Does `call` for the part of a batch that belongs to each lane, all at once, and puts the failures in terms of the
 * whole batch. What fails as a part fails item by item: the other lanes' items are not touched by it.
 */
export async function splitByLane<T>(
  batch: readonly T[],
  laneOf: (item: T) => number,
  call: (part: readonly T[], lane: number) => Promise<readonly Failure[]>,
): Promise<readonly Failure[]> {
  const parts = new Map<number, number[]>()
  for (const [index, item] of batch.entries()) {
    const lane = laneOf(item)
    const part = parts.get(lane)
    if (part) part.push(index)
    else parts.set(lane, [index])
  }
  const failures = await Promise.all(
    [...parts].map(async ([lane, indexes]): Promise<readonly Failure[]> => {
      const items = indexes.flatMap((index) => batch.slice(index, index + 1))
      try {
        const failed = await call(items, lane)
        return failed.map(({ index, error }) => ({ index: indexes[index] ?? -1, error }))
      } catch (error) {
        return indexes.map((index) => ({ index, error }))
      }
    }),
  )
  return failures.flat()
}
