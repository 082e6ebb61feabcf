import { createHash, randomUUID } from 'node:crypto'
import type { QueueSpec } from '@msgloop/core/driver'

/** What a FIFO queue is there for. */
export interface Fifo {
  /** Messages of one key wait for one another. Else each is a group of its own, and none waits. */
  readonly keyed: boolean
  /** A second message of an id is dropped, for five minutes. Else only a copy that is made twice is. */
  readonly unique: boolean
}

export interface FifoIds {
  readonly MessageGroupId: string
  readonly MessageDeduplicationId: string
}

interface Identified {
  readonly id: string
  readonly key?: string | undefined
}

/** `undefined` for a standard queue. */
export function fifoOf({
  order,
  dedupWindowMs,
}: Pick<QueueSpec, 'order' | 'dedupWindowMs'>): Fifo | undefined {
  const keyed = order === 'key'
  const unique = dedupWindowMs > 0
  return keyed || unique ? { keyed, unique } : undefined
}

/**
 * Of a message that is sent. One that is delayed waits in a group of its own, as it would hold up its key: it
 * takes its turn when it is stored afresh, at the end of its delay.
 */
export function sentIds({ keyed, unique }: Fifo, message: Identified, delayMs: number): FifoIds {
  return {
    MessageGroupId: groupId(turnOf(keyed, message, delayMs) ?? message.id),
    MessageDeduplicationId: unique ? message.id : randomUUID(),
  }
}

/** Of a copy of a stored message: made twice, it is stored once. */
export function copiedIds({ keyed }: Fifo, message: Identified, delayMs: number, nativeId: string): FifoIds {
  return {
    MessageGroupId: groupId(turnOf(keyed, message, delayMs) ?? nativeId),
    MessageDeduplicationId: nativeId,
  }
}

function turnOf(keyed: boolean, { id, key }: Identified, delayMs: number): string | undefined {
  return keyed && delayMs === 0 ? (key ?? id) : undefined
}

/** What a group's id may be: up to 128 of the visible characters of ASCII. */
const GROUP_ID = /^[!-~]{1,128}$/

function groupId(text: string): string {
  return GROUP_ID.test(text) ? text : createHash('sha256').update(text).digest('hex')
}
