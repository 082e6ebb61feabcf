import { DriverError, type Failure, type Outgoing, type Sender } from '@msgloop/core/driver'
import { classify } from './errors.js'
import { judgeStored, Round } from './round.js'
import type { Session } from './session.js'
import { DELAY_HEADER, encode } from './wire.js'

export class NatsSender implements Sender {
  readonly #session: Session
  readonly #stream: string
  readonly #subject: string

  constructor(session: Session, stream: string, subject: string) {
    this.#session = session
    this.#stream = stream
    this.#subject = subject
  }

  async send(batch: readonly Outgoing[], signal: AbortSignal): Promise<readonly Failure[]> {
    const round = new Round(this.#session, batch.length, judgeStored, signal)
    const most = this.#session.nc.info?.max_payload ?? Number.POSITIVE_INFINITY
    for (const [index, { message, delayMs }] of batch.entries()) {
      const lines = encode(message, delayMs > 0 ? { [DELAY_HEADER]: String(Math.ceil(delayMs)) } : undefined)
      if (message.body.byteLength + lines.byteLength > most) round.fail(index, tooLarge(most))
      else round.ask(index, this.#subject, message.body, lines)
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

const isMissing = (error: unknown): boolean => error instanceof DriverError && error.code === 'NOT_FOUND'

const tooLarge = (most: number): DriverError =>
  new DriverError(
    'TOO_LARGE',
    `nats: body and headers together are larger than the ${most} bytes that the server takes (max_payload)`,
    { outcome: 'rejected' },
  )
