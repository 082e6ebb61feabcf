import { DriverError, systemClock, untilAborted } from '@msgloop/core/driver'
import { dial } from './dial.js'
import { Session } from './session.js'
import type { Target } from './url.js'

/** A peer that answers none of three pings is gone: noticed within 9 s. */
const PING_MS = 3_000
const PINGS_OUT = 2
/** What a graceful end may take before the socket is destroyed. */
const GRACE_MS = 2_000

/** Resolves when `work` is over, however it ended, or after `GRACE_MS`: a dead peer answers nothing. */
export function briefly(work: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const cancel = systemClock.after(GRACE_MS, resolve)
    const over = (): void => {
      cancel()
      resolve()
    }
    work.then(over, over)
  })
}

interface Attempt {
  readonly session: Promise<Session>
  readonly abort: () => void
  waiting: number
}

/** A connection that is opened by whoever needs it, and anew after each loss. One attempt at a time. */
export class Connection {
  readonly #target: Target
  #session: Session | undefined
  #attempt: Attempt | undefined
  #closed = false

  constructor(target: Target) {
    this.#target = target
  }

  get inboxPrefix(): string {
    return this.#target.inboxPrefix
  }

  /** The live session, if there is one. */
  get current(): Session | undefined {
    return this.#session
  }

  /** Callers share an attempt; it is given up when the last of them is gone. */
  async open(signal?: AbortSignal): Promise<Session> {
    if (this.#closed) throw new DriverError('CLOSED', `nats: ${this.#target.address} was closed`)
    if (this.#session) return this.#session
    this.#attempt ??= this.#begin()
    const attempt = this.#attempt
    attempt.waiting++
    try {
      return await untilAborted(attempt.session, signal)
    } finally {
      if (--attempt.waiting === 0 && this.#attempt === attempt) attempt.abort()
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#attempt?.abort()
    const session = this.#session
    if (!session) return
    // The library drops what it has not written yet.
    await briefly(session.ping())
    await briefly(session.close())
    session.destroy()
  }

  #begin(): Attempt {
    const stop = new AbortController()
    const attempt: Attempt = { session: this.#dial(stop.signal), abort: () => stop.abort(), waiting: 0 }
    const over = (): void => {
      if (this.#attempt === attempt) this.#attempt = undefined
    }
    attempt.session.then(over, over)
    stop.signal.addEventListener('abort', over)
    return attempt
  }

  async #dial(signal: AbortSignal): Promise<Session> {
    const { servers, credentials, name, connectTimeoutMs, tls, authenticator, inboxPrefix, address } =
      this.#target
    const dialled = await dial(
      {
        servers: [...servers],
        ...credentials,
        ...(authenticator && { authenticator }),
        ...(tls && { tls }),
        name,
        inboxPrefix,
        timeout: connectTimeoutMs,
        reconnect: false,
        ignoreClusterUpdates: true,
        pingInterval: PING_MS,
        maxPingOut: PINGS_OUT,
        noAsyncTraces: true,
      },
      signal,
    ).catch((error: unknown) => {
      throw this.#explained(error)
    })
    const session = new Session(dialled, address, inboxPrefix, () => {
      if (this.#session === session) this.#session = undefined
    })
    try {
      // Who may not subscribe to the inbox would wait for answers in vain: it is said before the pong.
      await session.ping(signal)
      if (session.lost) throw session.lost
      if (this.#closed) throw new DriverError('CLOSED', `nats: ${address} was closed`)
      this.#session = session
      return session
    } catch (error) {
      session.destroy()
      throw error
    }
  }

  #explained(error: unknown): unknown {
    if (!(error instanceof Error) || error.name !== 'TimeoutError') return error
    const { address, connectTimeoutMs } = this.#target
    return new DriverError('UNREACHABLE', `nats: ${address} did not answer in ${connectTimeoutMs} ms`, {
      retryable: true,
      outcome: 'rejected',
    })
  }
}
