import { briefly, DriverError, systemClock, untilAborted } from '@msgloop/core/driver'
import { createInbox, type Msg, type Subscription } from '@nats-io/transport-node'
import { classify } from './errors.js'
import type { Asker, Session } from './session.js'
import { CONSUMER } from './topology.js'

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
  readonly askedAt: number
  /** How long silence is no sign of anything. */
  readonly patienceMs: number
  heardAt: number
  /** Not handed over yet. */
  left: number
  over: boolean
}

export interface IntakeOptions {
  readonly session: Session
  readonly stream: string
  readonly queue: string
  readonly inboxPrefix: string
  /** `askedAt` is in elapsed ms: the message was handed over later. */
  readonly onMessage: (message: Msg, ackSubject: string, askedAt: number) => void
  /** The server is done with a request. */
  readonly onOver: () => void
  /** Called once, when nothing more can come. */
  readonly onEnd: (error: DriverError) => void
}

/** Pulls from a consumer: one request at a time, which ends with what is there, so that nothing comes unwanted. */
export class Intake implements Asker {
  readonly #options: IntakeOptions
  readonly #subject: string
  #subscription: Subscription | undefined
  #inbox = ''
  #withdrawn: Promise<void> | undefined
  #pull: Pull | undefined
  #pulls = 0
  #ended = false

  constructor(options: IntakeOptions) {
    this.#options = options
    this.#subject = `$JS.API.CONSUMER.MSG.NEXT.${options.stream}.${CONSUMER}`
    options.session.watch(this)
  }

  /** The request the server is still working on. */
  get current(): Pull | undefined {
    return this.#pull
  }

  /** Present while something is withdrawn and not through. */
  get withdrawing(): Promise<void> | undefined {
    return this.#withdrawn
  }

  /** Asks for up to `batch` messages within `waitMs`, or less; with 0, for what is there. */
  pull(batch: number, waitMs: number): Pull {
    const { session, inboxPrefix } = this.#options
    const longest = Math.min(Math.ceil(waitMs), LONGEST_PULL_MS)
    const beats = longest >= 2 * HEARTBEAT_MS
    const now = systemClock.elapsed()
    const patienceMs = beats ? SILENCE_MS : longest + GRACE_MS
    const pull = { id: ++this.#pulls, askedAt: now, patienceMs, heardAt: now, left: batch, over: false }
    if (session.lost) {
      this.failed(session.lost)
      return { ...pull, over: true }
    }
    this.#pull = pull
    if (!this.#subscription) {
      this.#inbox = createInbox(inboxPrefix)
      this.#subscription = session.nc.subscribe(`${this.#inbox}.*`, {
        callback: (error, message) => (error ? this.failed(asDenied(error)) : this.#arrived(message)),
      })
    }
    // With `no_wait` the server waits until it has something, hands over all it has, and ends the request.
    const expires = waitMs > 0 ? `,"expires":${longest}000000` : ''
    const heartbeat = beats ? `,"idle_heartbeat":${HEARTBEAT_MS}000000` : ''
    session.nc.publish(this.#subject, `{"batch":${batch},"no_wait":true${expires}${heartbeat}}`, {
      reply: `${this.#inbox}.${pull.id}`,
    })
    return pull
  }

  /** Asks for nothing any more. What is on its way still comes, before this resolves. */
  withdraw(): Promise<void> {
    const { session, stream } = this.#options
    const subscription = this.#subscription
    const pull = this.#pull
    this.#subscription = undefined
    if (pull) this.#over(pull)
    if (!subscription || session.lost) return this.#withdrawn ?? Promise.resolve()
    const drained = untilAborted(subscription.drain(), session.gone)
    // To tell how many requests wait, the server first drops those that nobody listens for.
    const dropped =
      pull && FORGETFUL.test(session.nc.info?.version ?? '')
        ? session.api((manager) => manager.consumers.info(stream, CONSUMER))
        : undefined
    const withdrawn = briefly(Promise.allSettled([drained, dropped])).then(() => {
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
    const { session, stream, queue } = this.#options
    try {
      await session.api((manager) => manager.consumers.info(stream, CONSUMER), AbortSignal.timeout(CHECK_MS))
      if (!pull.over) await this.withdraw()
    } catch (error) {
      const { code, retryable } = classify(error)
      const message = `nats: the consumer of queue "${queue}" does not answer`
      if (code === 'NOT_FOUND') this.failed(gone(queue))
      else if (code === 'DENIED')
        this.failed(new DriverError(code, `${message}: no permission`, { retryable, cause: error }))
      else this.failed(new DriverError('CONNECTION_LOST', message, { retryable: true, cause: error }))
    }
  }

  answered(): void {}

  denied(subject: string, error: DriverError): void {
    if (subject === this.#subject) this.failed(error)
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

  #arrived(message: Msg): void {
    const pull = this.#pull
    const { reply } = message
    if (reply) {
      this.#options.onMessage(message, reply, pull?.askedAt ?? 0)
      if (!pull) return
      pull.heardAt = systemClock.elapsed()
      if (--pull.left <= 0) this.#over(pull)
    } else if (pull && message.subject === `${this.#inbox}.${pull.id}`) this.#status(pull, message)
  }

  #status(pull: Pull, { headers }: Msg): void {
    const code = headers?.code ?? 0
    const text = headers?.description ?? ''
    pull.heardAt = systemClock.elapsed()
    if (code === 100) return
    if (code === 404 || code === 408) this.#over(pull)
    else if (code === 503 || /deleted/i.test(text)) this.failed(gone(this.#options.queue))
    else this.failed(refused(this.#options.queue, code, text))
  }

  #over(pull: Pull): void {
    pull.over = true
    if (this.#pull === pull) this.#pull = undefined
    this.#options.onOver()
  }
}

const asDenied = (error: Error): DriverError => {
  const { code, retryable } = classify(error)
  return new DriverError(code, `nats: ${error.message}`, { retryable, cause: error })
}

/** Or without a leader, which looks the same: the core looks again either way. */
const gone = (queue: string): DriverError =>
  new DriverError('NOT_FOUND', `nats: queue "${queue}", or its consumer, was deleted`, { retryable: true })

/** The limits of a consumer that somebody else made do not pass; all else does. */
function refused(queue: string, code: number, text: string): DriverError {
  const message = `nats: the consumer of queue "${queue}" refused to hand over: ${code} ${text}`
  const final = code === 400 || /push based|maxrequest/i.test(text)
  return new DriverError(final ? 'INVALID' : 'BUSY', message, { retryable: !final })
}
