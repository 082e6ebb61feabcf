import type { Clock } from './clock.js'
import { sleep, systemClock } from './clock.js'
import type { Duration } from './duration.js'
import { milliseconds } from './duration.js'
import { MsgloopError } from './error.js'
import type { Inbox, InboxOutcome, Mark } from './inbox.js'
import { onlyKnown } from './options.js'

/** What a handler does in a transaction of a memory inbox. */
export interface MemoryTransaction {
  /**
   * Calls `effect` on commit, after those given before; never on a rollback. It must not throw: what was
   * changed by then cannot be taken back.
   */
  onCommit(effect: () => void): void
}

export interface MemoryInboxOptions {
  /** For messages to people. Default `memory inbox`. */
  readonly name?: string
  /** How long a message is remembered. Default 7 days. */
  readonly keep?: Duration
  /** For tests. Default `systemClock`. */
  readonly clock?: Clock
}

const KNOWN: readonly (keyof MemoryInboxOptions)[] = ['name', 'keep', 'clock']
/** A second run that has waited for the first this long lets its caller decide. */
const WAIT_MS = 2_000

/**
 * An inbox in this process, for tests and for the embedded broker. All consumers of a queue share one. Effects
 * are exactly once while the process lives: state and marks end together.
 *
 * @throws MsgloopError `INVALID` for an unknown option or a bad value
 * @example queue.consume((n, message, tx) => tx.onCommit(() => { total += n }), { inbox: memoryInbox() })
 */
export function memoryInbox(options: MemoryInboxOptions = {}): Inbox<MemoryTransaction> {
  onlyKnown('memoryInbox', options, KNOWN)
  const keepMs = milliseconds('memoryInbox: option "keep"', options.keep ?? '7d')
  return new MemoryInbox(options.name ?? 'memory inbox', keepMs, options.clock ?? systemClock)
}

class MemoryInbox implements Inbox<MemoryTransaction> {
  readonly name: string
  readonly #keepMs: number
  readonly #clock: Clock
  /** Oldest first: by the clock's `elapsed`, when each was marked. */
  readonly #marks = new Map<string, number>()
  readonly #running = new Map<string, Promise<void>>()

  constructor(name: string, keepMs: number, clock: Clock) {
    this.name = name
    this.#keepMs = keepMs
    this.#clock = clock
  }

  async check(): Promise<void> {}

  async run(
    mark: Mark,
    work: (tx: MemoryTransaction) => Promise<void>,
    signal: AbortSignal,
  ): Promise<InboxOutcome> {
    const key = keyOf(mark)
    // Several may have waited for the same run: only the first of them goes on.
    if (!(await this.#alone(key, signal)) || this.#running.has(key)) return 'running'
    if (this.#marked(key)) return 'duplicate'
    signal.throwIfAborted()
    let end: () => void = () => {}
    this.#running.set(key, new Promise((resolve) => (end = resolve)))
    const effects: (() => void)[] = []
    let over = false
    try {
      await orAborted(signal, () =>
        work({
          onCommit: (effect) => {
            if (over)
              throw new MsgloopError('CLOSED', `${this.name}: the transaction of message ${mark.id} is over`)
            effects.push(effect)
          },
        }),
      )
      over = true
      for (const effect of effects) effect()
      this.#remember(key)
      return 'committed'
    } finally {
      over = true
      this.#running.delete(key)
      end()
    }
  }

  async find(mark: Mark, signal: AbortSignal): Promise<'marked' | 'unmarked' | 'running'> {
    const key = keyOf(mark)
    if (!(await this.#alone(key, signal))) return 'running'
    return this.#marked(key) ? 'marked' : 'unmarked'
  }

  /** Waits for the run under way, and says whether it has ended. */
  async #alone(key: string, signal: AbortSignal): Promise<boolean> {
    const running = this.#running.get(key)
    if (!running) return true
    const waited = new AbortController()
    const stop = AbortSignal.any([signal, waited.signal])
    const ended = await Promise.race([
      running.then(() => true),
      sleep(this.#clock, WAIT_MS, stop).then(() => false),
    ])
    waited.abort()
    return ended
  }

  #marked(key: string): boolean {
    const at = this.#marks.get(key)
    return at !== undefined && this.#clock.elapsed() - at < this.#keepMs
  }

  #remember(key: string): void {
    const now = this.#clock.elapsed()
    for (const [old, at] of this.#marks) {
      if (now - at < this.#keepMs) break
      this.#marks.delete(old)
    }
    this.#marks.delete(key)
    this.#marks.set(key, now)
  }
}

function keyOf({ queue, id }: Mark): string {
  return `${queue}\n${id}`
}

/** @throws the signal's reason, as soon as it aborts */
async function orAborted(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  let stop: () => void = () => {}
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
  })
  try {
    await Promise.race([work(), aborted])
    signal.throwIfAborted()
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
