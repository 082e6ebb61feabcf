import type { DeadReason } from './driver.js'
import type { Queue } from './queue.js'

/** An error as it is kept with a dead letter. */
export interface ErrorRecord {
  readonly name: string
  readonly message: string
  /** Cut at 4 KiB. */
  readonly stack?: string
}

/** One failed handler run. */
export interface AttemptRecord {
  readonly attempt: number
  /** Epoch ms. */
  readonly at: number
  readonly durationMs: number
  readonly consumer: string
  readonly error: ErrorRecord
}

/** One entry of a dead-letter queue. */
export interface DeadLetter<T> {
  readonly id: string
  readonly reason: DeadReason
  /** Queue it came from; `<topic>.<subscription>` where that was a subscription. */
  readonly source: string
  /** The last error. Absent when the broker itself dead-lettered it, and for `expired`. */
  readonly error: ErrorRecord | undefined
  readonly firstAttemptAt: Date | undefined
  readonly deadAt: Date | undefined
  /** The first 3 and the last records that fit in 8 KiB. */
  readonly attempts: readonly AttemptRecord[]
  /** Handler runs in all; more than `attempts.length` when the history was cut. */
  readonly attemptCount: number
  readonly deliveries: number
  readonly replays: number
  /** The original bytes. */
  readonly bytes: Uint8Array
  /** Decoded body. @throws MsgloopError `INVALID` when it cannot be decoded */
  body(): T
  /** The original user headers. */
  readonly headers: Readonly<Record<string, string>>
  readonly key: string | undefined
  readonly type: string | undefined
  /** Present on what was published to a topic. */
  readonly subject: string | undefined
  readonly correlationId: string | undefined
  readonly timestamp: Date | undefined
}

/** Which entries. All given conditions must hold. Text may hold `*` for any run of characters. */
export interface DeadLetterFilter {
  readonly id?: string | readonly string[]
  /** Against `<name>: <message>` of the last error, or its name alone. */
  readonly error?: string
  readonly reason?: DeadReason
  readonly key?: string
  /** Dead-lettered at or after. */
  readonly since?: Date
  /** Dead-lettered before. */
  readonly until?: Date
}

export interface ReplayOptions {
  /** Count what would be replayed, move nothing. */
  readonly dryRun?: boolean
  /** Most entries to replay. Default: all that are there when it starts. */
  readonly limit?: number
  /** Most replays in a second. Default: no limit. */
  readonly rate?: number
  /** Another queue to replay to. Default: the queue each entry came from. */
  readonly to?: string
  /** Aborting ends it after the entries under way; nothing is lost. */
  readonly signal?: AbortSignal
}

export interface ReplayResult {
  readonly replayed: number
  /** Entries that did not match, or had been replayed `maxReplays` times. They stay. */
  readonly kept: number
  /** Entries whose queue would not take them. They stay. When none could be replayed, `replay` rejects instead. */
  readonly failed: number
  /** Of the matching entries, how many died of each reason. */
  readonly reasons: Readonly<Partial<Record<DeadReason, number>>>
}

/** The dead letters of a queue. */
export interface DeadLetters<T> {
  /** The dead-letter queue is a queue: consume it, count it, like any other. */
  readonly queue: Queue<T>
  /** Looks without consuming, oldest first. Default `limit` 1000. */
  list(
    filter?: DeadLetterFilter,
    options?: { readonly limit?: number; readonly signal?: AbortSignal },
  ): AsyncIterable<DeadLetter<T>>
  /** Moves entries back to their queue, with attempt 1. Killed at any point, nothing is lost; run again, it goes on. */
  replay(filter?: DeadLetterFilter, options?: ReplayOptions): Promise<ReplayResult>
  /** Removes matching entries; resolves with how many. */
  remove(filter: DeadLetterFilter, options?: { readonly signal?: AbortSignal }): Promise<number>
  /** Removes all entries. */
  purge(): Promise<number | undefined>
}
