import { briefly, DriverError, SharedAttempt } from '@msgloop/core/driver'
import { dial } from './dial.js'
import { Session } from './session.js'
import type { Target } from './url.js'

/** A peer that answers none of three pings is gone: noticed within 9 s. */
const PING_MS = 3_000
const PINGS_OUT = 2
/** A connection that is opened by whoever needs it, and anew after each loss. One attempt at a time. */
export class Connection {
  readonly #target: Target
  #session: Session | undefined
  readonly #attempt = new SharedAttempt(({ signal }) => this.#dial(signal))
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
    return this.#attempt.join(signal)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#attempt.abort()
    const session = this.#session
    if (!session) return
    // The library drops what it has not written yet.
    await briefly(session.ping())
    await briefly(session.close())
    session.destroy()
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
