import {
  briefly,
  DriverError,
  type Failure,
  type Replies,
  type Reply,
  type ReplyChannel,
  type ReplyOptions,
} from '@msgloop/core/driver'
import { createInbox } from '@nats-io/transport-node'
import type { Connection } from './connection.js'
import { asDenied } from './errors.js'
import type { Asker, Session } from './session.js'
import { decode, encode } from './wire.js'

/** What can be published to. `$` begins the subjects that are orders to the server: nobody is answered there. */
const ADDRESS = /^[^\s.*>$][^\s.*>]*(\.[^\s.*>]+)*$/

/** An answer is not stored, so the server says nothing about it. */
const UNSTORED = { id: '', storedAt: 0 }

/**
 * Answers are plain messages of NATS, to one inbox of this driver. Its name outlives connections: what is
 * answered after a loss is heard on the next one.
 */
export class NatsReplies implements Replies {
  readonly #connection: Connection
  readonly #address: string

  constructor(connection: Connection) {
    this.#connection = connection
    this.#address = createInbox(connection.inboxPrefix)
  }

  async open({ onReply, onLost }: ReplyOptions, signal: AbortSignal): Promise<ReplyChannel> {
    const session = await this.#connection.open(signal)
    let over = false
    const end = (error: unknown): void => {
      if (over) return
      over = true
      onLost(error)
    }
    const subscription = session.nc.subscribe(this.#address, {
      callback: (error, native) => (error ? end(asDenied(error)) : onReply(decode(native, UNSTORED).message)),
    })
    const lost = (): void => end(session.lost)
    session.gone.addEventListener('abort', lost, { once: true })
    const close = async (): Promise<void> => {
      over = true
      session.gone.removeEventListener('abort', lost)
      if (!session.lost) await briefly(subscription.drain())
    }
    try {
      // From here on an answer finds the way: the server has the subscription.
      await session.ping(signal)
    } catch (error) {
      await close()
      throw error
    }
    return { address: this.#address, close }
  }

  async send(batch: readonly Reply[], signal: AbortSignal): Promise<readonly Failure[]> {
    const session = await this.#connection.open(signal)
    const answers = new Answers(session, batch)
    session.watch(answers)
    try {
      answers.publish()
      // What the server refuses it says before this.
      await session.ping(signal)
    } finally {
      session.forget(answers)
    }
    return answers.failures
  }
}

class Answers implements Asker {
  readonly failures: Failure[] = []
  readonly #session: Session
  readonly #batch: readonly Reply[]

  constructor(session: Session, batch: readonly Reply[]) {
    this.#session = session
    this.#batch = batch
  }

  publish(): void {
    const most = this.#session.nc.info?.max_payload ?? Number.POSITIVE_INFINITY
    for (const [index, { address, message }] of this.#batch.entries()) {
      const lines = encode(message)
      if (!ADDRESS.test(address))
        this.failures.push({ index, error: refused('INVALID', 'the address of an answer is no inbox') })
      else if (message.body.byteLength + lines.byteLength > most)
        this.failures.push({ index, error: refused('TOO_LARGE', `an answer has more than ${most} bytes`) })
      else this.#session.tell(address, message.body, lines)
    }
  }

  denied(subject: string, error: DriverError): void {
    for (const [index, { address }] of this.#batch.entries())
      if (address === subject) this.failures.push({ index, error })
  }

  answered(): void {}
  failed(): void {}
}

const refused = (code: 'INVALID' | 'TOO_LARGE', what: string): DriverError =>
  new DriverError(code, `nats: ${what}`, { outcome: 'rejected' })
