/** Partitions of a queue with `order: 'key'`, on brokers that keep order per partition rather than per key. */
export const ORDER_PARTITIONS = 16

/**
 * The partition of a key: FNV-1a over its UTF-8 bytes, with the finalizer of MurmurHash3, as FNV's low bits
 * spread short keys unevenly. Part of the wire: every client of a queue must agree.
 */
export function partitionOf(key: string, partitions = ORDER_PARTITIONS): number {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(key)) hash = Math.imul(hash ^ byte, 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return ((hash ^ (hash >>> 16)) >>> 0) % partitions
}
