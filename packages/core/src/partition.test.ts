import { expect, test } from 'vitest'
import { ORDER_PARTITIONS, partitionOf } from './partition.js'

test('keys of usual shapes spread evenly', () => {
  const shapes: readonly ((n: number) => string)[] = [String, (n) => `customer-${n}`, (n) => `eu/${n * 1000}`]
  for (const shape of shapes) {
    const counts = new Array<number>(ORDER_PARTITIONS).fill(0)
    for (let n = 0; n < 16_000; n++) {
      const at = partitionOf(shape(n))
      counts[at] = (counts[at] ?? 0) + 1
    }
    expect(Math.min(...counts)).toBeGreaterThan(850)
    expect(Math.max(...counts)).toBeLessThan(1150)
  }
})

test('the partition of a key never changes: it is on the wire', () => {
  expect(['', 'a', 'customer-7', 'größe'].map((key) => partitionOf(key))).toMatchInlineSnapshot(`
    [
      11,
      3,
      3,
      12,
    ]
  `)
})
