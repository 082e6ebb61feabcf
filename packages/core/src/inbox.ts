/** What an inbox remembers a message by. */
export interface Mark {
  /** The queue or subscription it was received from: each has marks of its own. */
  readonly queue: string
  /** 1 to 128 characters of ASCII, whatever a foreign client gave as an id. */
  readonly id: string
}

/**
 * How a run ended. `committed`: effects and mark are stored, together. `duplicate`: the mark was there, and
 * nothing was run. `running`: somebody else runs this message at this moment, and nothing was run.
 */
export type InboxOutcome = 'committed' | 'duplicate' | 'running'

/**
 * Remembers which messages were handled, in the same transaction as their effects. Given to
 * `consume(handler, { inbox })` of a queue whose guarantee is `exactly-once`.
 *
 * Its failures are errors of their own kind: what `run` throws before it has called `work` never costs the
 * message an attempt. Wherever it can, an inbox throws `MsgloopError`.
 */
export interface Inbox<Tx> {
  /** For messages to people: `postgres inbox "payments"`. Never a password. */
  readonly name: string
  /** Proves that the inbox can be used; makes what is missing where it may. Asked before a consumer fetches. */
  check(): Promise<void>
  /**
   * Calls `work` at most once, in a transaction that also marks the message; commits both when `work` resolves.
   * When it rejects, or when `signal` aborts before the commit has begun, both are rolled back, and `run`
   * rejects with what was thrown, or with the signal's reason. At no time do two runs of one mark overlap: a second
   * waits for the first, or resolves with `running` after a while. `tx` is useless once `work` has ended.
   *
   * Where it cannot be told whether the commit went through (the connection was lost) it rejects: the next
   * run finds the mark or does not.
   */
  run(mark: Mark, work: (tx: Tx) => Promise<void>, signal: AbortSignal): Promise<InboxOutcome>
  /** Whether the message was handled. Waits for a run under way, as `run` does. */
  find(mark: Mark, signal: AbortSignal): Promise<'marked' | 'unmarked' | 'running'>
}
