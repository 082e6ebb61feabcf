import { type Destination, DriverError, type Failure, type Outgoing, type Sender } from '@msgloop/core/driver'
import { classify } from './errors.js'
import { delayedSubject, streamOf, subjectOf, topicStreamOf, topicSubjectOf, turnSubject } from './names.js'
import { judgeStored, Round } from './round.js'
import type { Session } from './session.js'
import { delayed, encode } from './wire.js'

/** The subject that a message is published to. */
type Route = (outgoing: Outgoing) => string

export class NatsSender implements Sender {
  readonly #session: Session
  readonly #stream: string
  readonly #route: Route
  /** Whether what a message is about is in the subject it goes to. */
  readonly #about: boolean

  constructor(session: Session, prefix: string, destination: Destination) {
    const topic = destination.kind === 'topic'
    this.#session = session
    this.#stream = (topic ? topicStreamOf : streamOf)(prefix, destination.name)
    this.#route = routeOf(prefix, destination)
    this.#about = topic
  }

  async send(batch: readonly Outgoing[], signal: AbortSignal): Promise<readonly Failure[]> {
    const round = new Round(this.#session, batch.length, judgeStored, signal)
    const most = this.#session.nc.info?.max_payload ?? Number.POSITIVE_INFINITY
    for (const [index, outgoing] of batch.entries()) {
      const { message, delayMs } = outgoing
      const lines = encode(
        this.#about ? { ...message, subject: undefined } : message,
        delayMs > 0 ? delayed(delayMs) : undefined,
      )
      if (message.body.byteLength + lines.byteLength > most) round.fail(index, tooLarge(most))
      else round.ask(index, this.#route(outgoing), message.body, lines)
    }
    const failures = await round.done
    return failures.length === 0 ? failures : await this.#explained(failures, signal)
  }

  async close(): Promise<void> {}

  /** Nobody answers for a stream that does not exist, nor for one that is choosing its leader. */
  async #explained(failures: readonly Failure[], signal: AbortSignal): Promise<readonly Failure[]> {
    if (!failures.some(({ error }) => isMissing(error)) || signal.aborted) return failures
    const there = await this.#session
      .api((manager) => manager.streams.info(this.#stream), signal)
      .then(
        () => true,
        (error) => classify(error).code !== 'NOT_FOUND',
      )
    if (!there) return failures
    const error = new DriverError('BUSY', `nats: stream "${this.#stream}" has no leader for now`, {
      retryable: true,
      outcome: 'rejected',
    })
    return failures.map((failure) => (isMissing(failure.error) ? { index: failure.index, error } : failure))
  }
}

function routeOf(prefix: string, destination: Destination): Route {
  const { name } = destination
  if (destination.kind === 'topic')
    return ({ message }) => topicSubjectOf(prefix, name, message.subject ?? '')
  if (destination.order === 'none') {
    const subject = subjectOf(prefix, name)
    return () => subject
  }
  return ({ message, delayMs }) =>
    delayMs > 0 ? delayedSubject(prefix, name) : turnSubject(prefix, name, message)
}

const isMissing = (error: unknown): boolean => error instanceof DriverError && error.code === 'NOT_FOUND'

const tooLarge = (most: number): DriverError =>
  new DriverError(
    'TOO_LARGE',
    `nats: body and headers together are larger than the ${most} bytes that the server takes (max_payload)`,
    { outcome: 'rejected' },
  )
