import { createHash } from 'node:crypto'
import type { WireMessage } from '@msgloop/core/driver'

const BYTES = 16

/** Of what must not change on the way: the id and the body. 32 hexadecimal digits. */
export function fingerprint({ id, body }: Pick<WireMessage, 'id' | 'body'>): string {
  return createHash('sha256')
    .update(id)
    .update('\0')
    .update(body)
    .digest('hex')
    .slice(0, 2 * BYTES)
}

/**
 * A digest of a set of messages that is the same in whatever order they come: the sum of their fingerprints,
 * modulo 2^128. A message that is there twice counts twice.
 */
export class Digest {
  #sum = 0n
  count = 0

  add(print: string): void {
    this.#sum = BigInt.asUintN(8 * BYTES, this.#sum + BigInt(`0x${print}`))
    this.count++
  }

  toString(): string {
    return this.#sum.toString(16).padStart(2 * BYTES, '0')
  }
}
