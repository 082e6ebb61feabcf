import { briefly, DriverError, systemClock, untilAborted } from '@msgloop/core/driver'
import { createInbox, type Msg, type Subscription } from '@nats-io/transport-node'
import { asDenied, classify } from './errors.js'
import type { Outlet } from './outlets.js'
import type { Asker, Session } from './session.js'
import { type Origin, originOf } from './wire.js'

/** While the server waits with us it says so this often. */
const HEARTBEAT_MS = 1_000
/** Heard nothing for so long: the consumer may be gone, which servers before 2.10 do not tell. */
export const SILENCE_MS = 2_500
/** A server that has not ended a request so long after its time has forgotten it. */
export const GRACE_MS = 1_500
const CHECK_MS = 2_000
/** A request of a client that died stays with the server until it runs out. */
const LONGEST_PULL_MS = 5_000
/**
 * Before 2.10 the server takes out a redelivery for a request that nobody listens for any more, forgets it until
 * its lease is over, and hands over another message twice.
 */
const FORGETFUL = /^[01]\.|^2\.[0-9]\./

/** One request for messages. The server ends it, by handing over as many or by a status. */
export interface Pull {
  readonly id: number
  readonly outlet: Outlet
  readonly askedAt: number
  /** How long silence is no sign of anything. */
  readonly patienceMs: number
  heardAt: number
  /** Not handed over yet. */
  left: number
  over: boolean
}

/** A message as it came, and from where. */
export interface Arrival {
  readonly native: Msg
  readonly outlet: Outlet
  readonly ackSubject: string
  readonly origin: Origin
  /** Elapsed ms: it was handed over later. */
  readonly askedAt: number
}

export interface IntakeOptions {
  readonly session: Session
  readonly outlets: readonly Outlet[]
  /** For messages to people. */
  readonly source: string
  readonly inboxPrefix: string
  readonly onMessage: (arrival: Arrival) => void
  /** The server is done with a request. */
  readonly onOver: (pull: Pull) => void
  /** Called once, when nothing more can come. */
  readonly onEnd: (error: DriverError) => void
}

/**
 * Pulls from consumers: from each one request at a time, which ends with what is there, so that nothing comes
 * unwanted.
 */
export class Intake implements Asker {
  readonly #options: IntakeOptions
  readonly #outlets: ReadonlyMap<string, Outlet>
  readonly #pulls = new Map<Outlet, Pull>()
  #subscription: Subscription | undefined
  #inbox = ''
  #withdrawn: Promise<void> | undefined
  #ids = 0
  #ended = false

  constructor(options: IntakeOptions) {
    this.#options = options
    this.#outlets = new Map(options.outlets.map((outlet) => [keyOf(outlet), outlet]))
    options.session.watch(this)
  }

  /** Whether what is asked for had better not be withdrawn. */
  get forgetful(): boolean {
    return FORGETFUL.test(this.#options.session.nc.info?.version ?? '')
  }

  /** What the server is still working on. */
  standing(outlet: Outlet): Pull | undefined {
    return this.#pulls.get(outlet)
  }

  /** Present while something is withdrawn and not through. */
  get withdrawing(): Promise<void> | undefined {
    return this.#withdrawn
  }

  /** Asks for up to `batch` messages within `waitMs`, or less; with 0, for what is there. */
  pull(outlet: Outlet, batch: number, waitMs: number): Pull {
    const { session, inboxPrefix } = this.#options
    const longest = Math.min(Math.ceil(waitMs), LONGEST_PULL_MS)
    const beats = longest >= 2 * HEARTBEAT_MS
    const now = systemClock.elapsed()
    const patienceMs = beats ? SILENCE_MS : longest + GRACE_MS
    const id = ++this.#ids
    const pull = { id, outlet, askedAt: now, patienceMs, heardAt: now, left: batch, over: false }
    if (session.lost) {
      this.failed(session.lost)
      return { ...pull, over: true }
    }
    this.#pulls.set(outlet, pull)
    if (!this.#subscription) {
      this.#inbox = createInbox(inboxPrefix)
      this.#subscription = session.nc.subscribe(`${this.#inbox}.*`, {
        callback: (error, message) => (error ? this.failed(asDenied(error)) : this.#arrived(message)),
      })
    }
    // With `no_wait` the server waits until it has something, hands over all it has, and ends the request. But it
    // refuses one where others wait for as much as there is, be it held back: so not where one message ends it anyhow.
    const oneShot = waitMs > 0 && batch === 1 ? '' : ',"no_wait":true'
    const expires = waitMs > 0 ? `,"expires":${longest}000000` : ''
    const heartbeat = beats ? `,"idle_heartbeat":${HEARTBEAT_MS}000000` : ''
    session.nc.publish(nextOf(outlet), `{"batch":${batch}${oneShot}${expires}${heartbeat}}`, {
      reply: `${this.#inbox}.${id}`,
    })
    return pull
  }

  /** Asks for nothing any more. What is on its way still comes, before this resolves. */
  withdraw(): Promise<void> {
    const { session } = this.#options
    const subscription = this.#subscription
    const pulls = [...this.#pulls.values()]
    this.#subscription = undefined
    for (const pull of pulls) this.#over(pull)
    if (!subscription || session.lost) return this.#withdrawn ?? Promise.resolve()
    const drained = untilAborted(subscription.drain(), session.gone)
    // To tell how many requests wait, the server first drops those that nobody listens for.
    const dropped = this.forgetful ? pulls.map(({ outlet }) => this.#info(outlet)) : []
    const withdrawn = briefly(Promise.allSettled([drained, ...dropped])).then(() => {
      if (this.#withdrawn === withdrawn) this.#withdrawn = undefined
    })
    this.#withdrawn = withdrawn
    return withdrawn
  }

  /**
   * Finds out what silence means, where there is any. When the consumer is there the request was lost, and
   * can be made again.
   */
  async check(pull: Pull): Promise<void> {
    if (pull.over || systemClock.elapsed() - pull.heardAt < pull.patienceMs) return
    const { source } = this.#options
    try {
      await this.#info(pull.outlet, AbortSignal.timeout(CHECK_MS))
      if (!pull.over) await this.withdraw()
    } catch (error) {
      const { code, retryable } = classify(error)
      const message = `nats: the consumer of ${source} does not answer`
      if (code === 'NOT_FOUND') this.failed(gone(source))
      else if (code === 'DENIED')
        this.failed(new DriverError(code, `${message}: no permission`, { retryable, cause: error }))
      else this.failed(new DriverError('CONNECTION_LOST', message, { retryable: true, cause: error }))
    }
  }

  answered(): void {}

  denied(subject: string, error: DriverError): void {
    if (this.#options.outlets.some((outlet) => nextOf(outlet) === subject)) this.failed(error)
  }

  failed(error: DriverError): void {
    if (this.#ended) return
    this.#ended = true
    this.#options.session.forget(this)
    this.#options.onEnd(error)
    void this.withdraw()
  }

  /** Hears of the session no more. */
  close(): void {
    this.#options.session.forget(this)
  }

  #info({ stream, consumer }: Outlet, signal?: AbortSignal): Promise<unknown> {
    return this.#options.session.api((manager) => manager.consumers.info(stream, consumer), signal)
  }

  #arrived(native: Msg): void {
    const { reply } = native
    if (reply) this.#handed(native, reply)
    else this.#status(native)
  }

  #handed(native: Msg, ackSubject: string): void {
    const origin = originOf(ackSubject)
    const outlet = this.#outlets.get(keyOf(origin))
    if (!outlet) return
    const pull = this.#pulls.get(outlet)
    this.#options.onMessage({ native, outlet, ackSubject, origin, askedAt: pull?.askedAt ?? 0 })
    if (!pull) return
    pull.heardAt = systemClock.elapsed()
    if (--pull.left <= 0) this.#over(pull)
  }

  #status({ subject, headers }: Msg): void {
    const { source } = this.#options
    const pull = [...this.#pulls.values()].find(({ id }) => subject === `${this.#inbox}.${id}`)
    if (!pull) return
    const code = headers?.code ?? 0
    const text = headers?.description ?? ''
    pull.heardAt = systemClock.elapsed()
    if (code === 100) return
    if (code === 404 || code === 408) this.#over(pull)
    else if (code === 503 || /deleted/i.test(text)) this.failed(gone(source))
    else this.failed(refused(source, code, text))
  }

  #over(pull: Pull): void {
    pull.over = true
    if (this.#pulls.get(pull.outlet) === pull) this.#pulls.delete(pull.outlet)
    this.#options.onOver(pull)
  }
}

const keyOf = ({ stream, consumer }: { readonly stream: string; readonly consumer: string }): string =>
  `${stream} ${consumer}`

const nextOf = ({ stream, consumer }: Outlet): string => `$JS.API.CONSUMER.MSG.NEXT.${stream}.${consumer}`

/** Or without a leader, which looks the same: the core looks again either way. */
const gone = (source: string): DriverError =>
  new DriverError('NOT_FOUND', `nats: ${source}, or its consumer, was deleted`, { retryable: true })

/** The limits of a consumer that somebody else made do not pass; all else does. */
function refused(source: string, code: number, text: string): DriverError {
  const message = `nats: the consumer of ${source} refused to hand over: ${code} ${text}`
  const final = code === 400 || /push based|maxrequest/i.test(text)
  return new DriverError(final ? 'INVALID' : 'BUSY', message, { retryable: !final })
}
