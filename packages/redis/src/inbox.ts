import type { Duration, Inbox, InboxOutcome, Mark } from '@msgloop/core'
import { MsgloopError, milliseconds } from '@msgloop/core'
import type { Cluster, Redis } from 'ioredis'
import { Claim } from './claim.js'
import { sorted } from './errors.js'
import { CLAIM } from './scripts.js'

/** What a handler is given: there is no transaction, only the right to work on this message, and its number. */
export interface RedisRun {
  /**
   * Grows with every run of the inbox. A run that was overtaken (its process stood still for longer than `claim`) has
   * a smaller one than the run that came after it: give it to whatever stores the effect, and let it refuse less
   * than it has seen.
   */
  readonly token: number
  /** Aborts when the claim is lost: another run may have begun. */
  readonly signal: AbortSignal
}

export interface RedisInboxOptions {
  /** Marks of inboxes with other names are others'. 1 to 100 printable ASCII characters. Default `default`. */
  readonly name?: string
  /** How long a message is remembered, by the server's clock: longer than it can possibly come again. Default 7 days. */
  readonly keep?: Duration
  /** How long a process that stands still keeps its message; renewed while it runs. At least 1 s. Default 30 s. */
  readonly claim?: Duration
}

const KNOWN: readonly (keyof RedisInboxOptions)[] = ['name', 'keep', 'claim']
/** How long a second run waits for the first before it lets its caller decide, and how often it looks. */
const WAIT_MS = 2_000
const LOOK_MS = 50

/**
 * Marks messages in Redis, on the application's own client. **The mark is not in the transaction of the effects**:
 * a failed handler's effects are its own to take back, and a process that dies after its effect and before the mark
 * leaves a message that is handled again. What it does promise: a marked message is never handled again, no two
 * runs of a message overlap while their process and the server are alive, and tokens tell an overtaken run.
 * For effects that are in PostgreSQL, mark there.
 *
 * @throws MsgloopError `INVALID` for an unknown option or a bad value. No I/O
 * @example queue.consume((order, message, run) => ship(order, run.token), { inbox: redisInbox(redis) })
 */
export function redisInbox(client: Redis | Cluster, options: RedisInboxOptions = {}): Inbox<RedisRun> {
  if (options === null || typeof options !== 'object')
    throw new MsgloopError('INVALID', 'redisInbox: options must be an object')
  for (const name of Object.keys(options))
    if (!(KNOWN as readonly string[]).includes(name))
      throw new MsgloopError('INVALID', `redisInbox: unknown option "${name}"; there are ${KNOWN.join(', ')}`)
  const { name = 'default' } = options
  if (typeof name !== 'string' || !/^[\x20-\x7e]{1,100}$/.test(name))
    throw new MsgloopError('INVALID', 'redisInbox: option "name" must be 1 to 100 printable ASCII characters')
  const keepMs = milliseconds('redisInbox: option "keep"', options.keep ?? '7d')
  const claimMs = milliseconds('redisInbox: option "claim"', options.claim ?? '30s')
  if (claimMs < 1_000 || keepMs < claimMs)
    throw new MsgloopError(
      'INVALID',
      'redisInbox: option "claim" must be at least 1 s, and "keep" no less than it',
    )
  return new RedisMarks(client, name, keepMs, claimMs)
}

class RedisMarks implements Inbox<RedisRun> {
  readonly name: string
  readonly #client: Redis | Cluster
  readonly #inbox: string
  readonly #keepMs: number
  readonly #claimMs: number

  constructor(client: Redis | Cluster, inbox: string, keepMs: number, claimMs: number) {
    this.name = `redis inbox "${inbox}"`
    this.#client = client
    this.#inbox = inbox
    this.#keepMs = keepMs
    this.#claimMs = claimMs
  }

  async check(): Promise<void> {
    try {
      await this.#client.ping()
    } catch (error) {
      throw sorted(`${this.name} does not answer`, error)
    }
  }

  async run(mark: Mark, work: (run: RedisRun) => Promise<void>, signal: AbortSignal): Promise<InboxOutcome> {
    const claimed = await this.#claim(mark, signal)
    if (claimed === 'duplicate' || claimed === 'running') return claimed
    const claim = new Claim(
      {
        client: this.#client,
        key: this.#key(mark),
        what: `${this.name}: message ${mark.id}`,
        token: claimed,
        claimMs: this.#claimMs,
      },
      signal,
    )
    try {
      await claim.during(() => work({ token: claimed, signal: claim.signal }))
    } catch (error) {
      await claim.letGo()
      throw error
    }
    await claim.commit(this.#keepMs)
    return 'committed'
  }

  async find(mark: Mark, signal: AbortSignal): Promise<'marked' | 'unmarked' | 'running'> {
    const held = await this.#wait(
      signal,
      async () => {
        try {
          return await this.#client.get(this.#key(mark))
        } catch (error) {
          throw sorted(`${this.name} cannot look for message ${mark.id}`, error)
        }
      },
      (value) => value === null || value === 'done',
    )
    return held === null ? 'unmarked' : held === 'done' ? 'marked' : 'running'
  }

  async #claim(mark: Mark, signal: AbortSignal): Promise<number | 'duplicate' | 'running'> {
    const answer = await this.#wait(
      signal,
      async () => {
        try {
          const keys = [this.#key(mark), this.#counter(mark)] as const
          return (await this.#client.eval(CLAIM, 2, ...keys, this.#claimMs)) as number | string
        } catch (error) {
          throw sorted(`${this.name} cannot begin with message ${mark.id}`, error)
        }
      },
      (value) => value !== 0,
    )
    return answer === 'done' ? 'duplicate' : answer === 0 ? 'running' : Number(answer)
  }

  /** Asks until it is answered for good, for as long as a second run waits. */
  async #wait<R>(signal: AbortSignal, ask: () => Promise<R>, forGood: (value: R) => boolean): Promise<R> {
    const deadline = performance.now() + WAIT_MS
    for (;;) {
      const value = await ask()
      if (forGood(value) || signal.aborted || performance.now() > deadline) return value
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    }
  }

  /** Of one slot with the counter of its queue: both are touched by one script. */
  #key({ queue, id }: Mark): string {
    return `msgloop-inbox:{${this.#inbox}:${queue}}:${id}`
  }

  #counter({ queue }: Mark): string {
    return `msgloop-inbox:{${this.#inbox}:${queue}}|tokens`
  }
}
