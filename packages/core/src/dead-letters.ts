import type { DeadReason } from './driver.js'
import type { Duration } from './duration.js'
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
  /** Ids of the dead letters it was edited from, the latest first. */
  readonly editedFrom: readonly string[]
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
  readonly causationId: string | undefined
  readonly timestamp: Date | undefined
}

/** Which entries. All given conditions must hold. `*` in text stands for any run of characters, but in ids. */
export interface DeadLetterFilter {
  readonly id?: string | readonly string[]
  /** Against `<name>: <message>` of the last error, or its name alone. */
  readonly error?: string
  readonly reason?: DeadReason | readonly DeadReason[]
  readonly key?: string
  readonly type?: string
  /** Queue it came from. */
  readonly source?: string
  readonly subject?: string
  /** Each named header must be there and match. */
  readonly headers?: Readonly<Record<string, string>>
  /** Dead-lettered at or after. */
  readonly since?: Date
  /** Dead-lettered before. */
  readonly until?: Date
}

export interface ListOptions {
  /** Most entries. Default 1000. */
  readonly limit?: number
  readonly signal?: AbortSignal
}

export interface PageOptions {
  /** Most entries. Default 100. */
  readonly size?: number
  /** Where the page begins: `cursor` of the one before. @throws MsgloopError `UNSUPPORTED` where `capabilities.browse` is `lease` */
  readonly cursor?: string
  readonly signal?: AbortSignal
}

export interface DeadLetterPage<T> {
  readonly entries: readonly DeadLetter<T>[]
  /** Where the next page begins. Absent on the last, and where `capabilities.browse` is `lease`. */
  readonly cursor?: string
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
  /** Replay so many first, and go on only when their outcome is good. Not together with `to`. */
  readonly canary?: number
  /** How many of the canary may fail, or not be handled in time. Default 0. */
  readonly canaryFailures?: number
  /** Longest wait for the outcome of the canary; what has none by then has failed. Default 1 min. */
  readonly canaryWait?: Duration
  /** Told after each batch, and of each entry where there is a `rate`. What it throws ends the replay, as `signal` does. */
  readonly onProgress?: (progress: ReplayProgress) => void
  /** Aborting ends it after the entries under way; nothing is lost. */
  readonly signal?: AbortSignal
}

/** How far a replay is. */
export interface ReplayProgress {
  readonly phase: 'canary' | 'waiting' | 'replay'
  readonly replayed: number
  readonly quarantined: number
  readonly kept: number
  readonly failed: number
}

/** What became of the entries that were replayed first. */
export interface CanaryResult {
  readonly replayed: number
  readonly handled: number
  /** They are dead letters again. */
  readonly died: number
  /** Neither was seen in time: nobody consumes the queue, it still retries, or its consumer is no msgloop. */
  readonly unknown: number
  /** Whether the replay went on. */
  readonly passed: boolean
}

export interface ReplayResult {
  readonly replayed: number
  /** Entries that had been replayed `maxReplays` times, and were moved to the quarantine. */
  readonly quarantined: number
  /** Entries that did not match. They stay, as does what lies beyond `limit`. */
  readonly kept: number
  /** Entries whose queue would not take them. They stay. When none could be replayed, `replay` rejects instead. */
  readonly failed: number
  /** Of the matching entries, how many died of each reason. */
  readonly reasons: Readonly<Partial<Record<DeadReason, number>>>
  /** Of the matching entries, how many died of an error of each name. */
  readonly errors: Readonly<Record<string, number>>
  /** Present when a canary was asked for. */
  readonly canary?: CanaryResult
}

/** What is to be different in the message that an entry is edited into. */
export interface DeadLetterEdit<T> {
  /** Default: the original bytes. */
  readonly body?: T
  /** All its headers. Default: the original ones. */
  readonly headers?: Readonly<Record<string, string>>
}

/** The dead letters of a queue. */
export interface DeadLetters<T> {
  /** The dead-letter queue is a queue: consume it, count it, like any other. */
  readonly queue: Queue<T>
  /**
   * What was replayed `maxReplays` times and died again; `<dead-letter queue>.quarantine`. It is worked as dead
   * letters are: list it, edit its entries, or replay them once more, however often they were.
   */
  readonly quarantine: DeadLetters<T>
  /** Looks without consuming, oldest first. */
  list(filter?: DeadLetterFilter, options?: ListOptions): AsyncIterable<DeadLetter<T>>
  /** As `list`, a page at a time. */
  page(filter?: DeadLetterFilter, options?: PageOptions): Promise<DeadLetterPage<T>>
  /**
   * Moves entries back to their queue, with attempt 1. Killed at any point, nothing is lost; run again, it goes on.
   *
   * @example
   * const { canary } = await orders.deadLetters.replay({ error: 'Timeout*' }, { canary: 5, rate: 50 })
   * if (!canary?.passed) console.error('still failing; the rest was left where it was')
   */
  replay(filter?: DeadLetterFilter, options?: ReplayOptions): Promise<ReplayResult>
  /**
   * Sends the entry as a new message, changed, and then removes it; resolves with the new id. The new message names
   * the old in `causationId` and `editedFrom`, and begins with attempt 1 and no replays. A crash in between leaves
   * both; the same edit made again has the same id.
   *
   * @throws MsgloopError `NOT_FOUND` when there is no such entry; as `send` for what it is changed into
   */
  edit(id: string, change: DeadLetterEdit<T>, options?: { readonly signal?: AbortSignal }): Promise<string>
  /**
   * Removes matching entries, or exactly those that were listed; resolves with how many. An entry that was replayed
   * and died again since it was listed stays.
   */
  remove(
    which: DeadLetterFilter | readonly DeadLetter<T>[],
    options?: { readonly signal?: AbortSignal },
  ): Promise<number>
  /** Removes all entries. */
  purge(): Promise<number | undefined>
}
