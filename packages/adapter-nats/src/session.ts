import { setMaxListeners } from 'node:events'
import { DriverError, lostError, untilAborted } from '@msgloop/core/driver'
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream'
import {
  createInbox,
  headers,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  PermissionViolationError,
} from '@nats-io/transport-node'
import type { Dialled } from './dial.js'
import { classify } from './errors.js'

/** Longest an answer of JetStream's API may take. */
const API_MS = 10_000

/** Whoever waits for something from the server. */
export interface Asker {
  answered(id: number, reply: Msg): void
  /** Nothing may be published to `subject`. */
  denied(subject: string, error: DriverError): void
  /** The connection is over. */
  failed(error: DriverError): void
}

/**
 * One connection, from its handshake to its end. It never reconnects by itself, so nothing is written to
 * another connection than the one it was meant for, and nothing waits in a buffer while there is none.
 */
export class Session {
  readonly nc: NatsConnection
  readonly #address: string
  readonly #dialled: Dialled
  readonly #onEnd: () => void
  readonly #inbox: string
  readonly #asked = new Map<number, Asker>()
  readonly #watching = new Set<Asker>()
  /** One for all: the library reads headers while it publishes, and keeps none. */
  readonly #headers = Object.assign(headers(), { lines: NO_LINES, encode })
  /** Aborts when the session is over; its reason is `lost`. */
  readonly #gone = new AbortController()
  #api: Promise<JetStreamManager> | undefined
  #ids = 1
  #lost: DriverError | undefined
  /** Whether JetStream has ever answered here. */
  #proven = false

  constructor(dialled: Dialled, address: string, inboxPrefix: string, onEnd: () => void) {
    this.nc = dialled.nc
    this.#dialled = dialled
    this.#address = address
    this.#onEnd = onEnd
    this.#inbox = createInbox(inboxPrefix)
    // Each call under way listens; more than ten are no leak.
    setMaxListeners(0, this.#gone.signal)
    this.nc.subscribe(`${this.#inbox}.*`, {
      callback: (error, reply) => (error ? this.#end(error) : this.#answer(reply)),
    })
    this.nc.closed().then(
      (error) => this.#end(lostError(`nats: the connection to ${address}`, error)),
      (error) => this.#end(lostError(`nats: the connection to ${address}`, error)),
    )
    void this.#listen()
  }

  /** Set once the connection is over. */
  get lost(): DriverError | undefined {
    return this.#lost
  }

  get gone(): AbortSignal {
    return this.#gone.signal
  }

  /** Numbers for so many requests, the first of them. */
  reserve(size: number): number {
    const first = this.#ids
    this.#ids += size
    return first
  }

  /** Publishes with an address for the answer, of which `asker` hears. */
  ask(asker: Asker, id: number, subject: string, payload: Uint8Array | string, lines?: Uint8Array): void {
    const reply = `${this.#inbox}.${id}`
    if (lines) this.nc.publish(subject, payload, { reply, headers: this.#withLines(lines) })
    else this.nc.publish(subject, payload, { reply })
    this.#asked.set(id, asker)
  }

  /** Publishes what nobody answers. */
  tell(subject: string, payload: Uint8Array | string, lines: Uint8Array): void {
    this.nc.publish(subject, payload, { headers: this.#withLines(lines) })
  }

  /** Lets `asker` know of refused publishes and of the end. */
  watch(asker: Asker): void {
    this.#watching.add(asker)
  }

  forget(what: number | Asker): void {
    if (typeof what === 'number') this.#asked.delete(what)
    else this.#watching.delete(what)
  }

  /** One call of JetStream's API. */
  async api<T>(call: (manager: JetStreamManager) => Promise<T>, signal?: AbortSignal): Promise<T> {
    this.#api ??= jetstreamManager(this.nc, { checkAPI: false, timeout: API_MS })
    const work = this.#api.then(call)
    // Each call under way listens; more than ten, as for the parts of a queue, are no leak.
    if (signal) setMaxListeners(0, signal)
    try {
      const result = await untilAborted(untilAborted(work, this.gone), signal)
      this.#proven = true
      return result
    } catch (error) {
      throw this.#explained(error)
    }
  }

  /** A round trip to the server. */
  async ping(signal?: AbortSignal): Promise<void> {
    await untilAborted(untilAborted(this.nc.flush(), this.gone), signal)
  }

  /** Proves that JetStream answers. Who may not ask need not know. */
  async prove(signal: AbortSignal): Promise<void> {
    await this.ping(signal)
    if (this.#proven) return
    try {
      await this.api((manager) => manager.getAccountInfo(), signal)
    } catch (error) {
      if (classify(error).code !== 'DENIED') throw error
    }
  }

  async close(): Promise<void> {
    if (!this.#lost) await this.nc.close()
    this.destroy()
  }

  destroy(): void {
    this.#dialled.destroy()
  }

  #withLines(lines: Uint8Array): MsgHdrs {
    this.#headers.lines = lines
    return this.#headers
  }

  #answer(reply: Msg): void {
    const { subject } = reply
    const id = Number(subject.slice(this.#inbox.length + 1))
    const asker = this.#asked.get(id)
    if (!asker) return
    this.#asked.delete(id)
    asker.answered(id, reply)
  }

  /** What only comes as an event: refused publishes have no answer, and a silent peer has no end. */
  async #listen(): Promise<void> {
    for await (const status of this.nc.status()) {
      if (status.type === 'staleConnection') this.destroy()
      if (status.type === 'error' && status.error instanceof PermissionViolationError)
        this.#deny(status.error)
    }
  }

  #deny(violation: PermissionViolationError): void {
    const { code, retryable } = classify(violation)
    const error = new DriverError(code, `nats: ${violation.message}`, {
      retryable,
      outcome: 'rejected',
      cause: violation,
    })
    for (const asker of this.#waiting()) asker.denied(violation.subject, error)
  }

  #waiting(): ReadonlySet<Asker> {
    return new Set([...this.#asked.values(), ...this.#watching])
  }

  #end(cause: Error): void {
    if (this.#lost) return
    const { code, retryable } = classify(cause)
    const lost =
      cause instanceof DriverError ? cause : new DriverError(code, cause.message, { retryable, cause })
    this.#lost = lost
    this.#onEnd()
    this.#gone.abort(lost)
    this.destroy()
    const waiting = this.#waiting()
    this.#asked.clear()
    for (const asker of waiting) asker.failed(lost)
  }

  /** Nobody answers the API where JetStream is disabled; or for a moment, where it has answered before. */
  #explained(error: unknown): unknown {
    const { code } = classify(error)
    if (code !== 'UNSUPPORTED' || !(error instanceof Error) || error.name !== 'JetStreamNotEnabled')
      return error
    if (this.#proven)
      return new DriverError('BUSY', `nats: JetStream at ${this.#address} does not answer for now`, {
        retryable: true,
        outcome: 'rejected',
        cause: error,
      })
    return new DriverError(
      'UNSUPPORTED',
      `nats: JetStream is not enabled at ${this.#address}, or not for this account; start the server with "-js"`,
      { outcome: 'rejected', cause: error },
    )
  }
}

const NO_LINES: Uint8Array = new Uint8Array()

function encode(this: { readonly lines: Uint8Array }): Uint8Array {
  return this.lines
}
