import type { Failure } from '@msgloop/core/driver'
import type { Api } from './api.js'
import { capabilities, REQUEST_BYTES } from './capabilities.js'
import { entryError, type FailedEntry, isMissing } from './errors.js'
import type { QueueRef, Queues } from './queues.js'
import type { Encoded } from './wire.js'

const MOST = capabilities.limits.sendBatch

/** Something for a request, and its place in the batch it came in. */
export interface Indexed<T> {
  readonly index: number
  readonly item: T
}

/** What a request may hold, and how much of that something is. */
export interface Room<T> {
  readonly most: number
  readonly of: (item: T) => number
}

/** For what is small: a handle. */
export const SMALL: Room<unknown> = { most: REQUEST_BYTES, of: () => 0 }

/**
 * Cuts into requests of at most ten, and of what one may hold; they are made at once. Each outcome is told by
 * the index it came with: of a request that succeeded, single entries may have failed.
 */
export async function inRequests<T>(
  all: readonly Indexed<T>[],
  room: Room<T>,
  request: (part: readonly T[]) => Promise<readonly FailedEntry[]>,
): Promise<Failure[]> {
  const failures: Failure[] = []
  await Promise.all(
    cut(all, room).map(async (part) => {
      try {
        const failed = await request(part.map(({ item }) => item))
        for (const entry of failed) {
          const found = part[Number(entry.Id)]
          if (found) failures.push({ index: found.index, error: entryError(entry) })
        }
      } catch (error) {
        for (const { index } of part) failures.push({ index, error })
      }
    }),
  )
  return failures
}

function cut<T>(all: readonly Indexed<T>[], room: Room<T>): Indexed<T>[][] {
  const parts: Indexed<T>[][] = []
  let part: Indexed<T>[] = []
  let bytes = 0
  for (const each of all) {
    const size = room.of(each.item)
    if (part.length === MOST || (part.length > 0 && bytes + size > room.most)) {
      parts.push(part)
      part = []
      bytes = 0
    }
    part.push(each)
    bytes += size
  }
  if (part.length > 0) parts.push(part)
  return parts
}

/** Stores messages in a queue. */
export function store(
  api: Api,
  queues: Queues,
  ref: QueueRef,
  all: readonly Indexed<Encoded>[],
  signal: AbortSignal | undefined,
): Promise<Failure[]> {
  return inRequests(all, { most: REQUEST_BYTES, of: ({ bytes }) => bytes }, async (part) => {
    try {
      const entries = part.map(({ entry }, n) => ({ ...entry, Id: String(n) }))
      return await api.send(ref.url, entries, signal)
    } catch (error) {
      if (isMissing(error)) queues.forget(ref.name)
      throw error
    }
  })
}
