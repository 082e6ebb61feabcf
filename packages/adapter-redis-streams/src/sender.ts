import {
  DriverError,
  type Failure,
  type Outgoing,
  type Sender,
  untilAborted,
  type WireMessage,
} from '@msgloop/core/driver'
import { capabilities } from './capabilities.js'
import { notFound } from './errors.js'
import type { Keys } from './keys.js'
import { pack } from './msgpack.js'
import type { Nodes } from './nodes.js'
import { Runs } from './runs.js'
import { SEND } from './send-script.js'
import type { Session } from './session.js'
import { encodeRest } from './wire.js'

/** Names, lengths and headers around a body, roughly. */
export const ENTRY_BYTES = 256

/** Keys of `SEND`. */
export const sendKeys = (keys: Keys): readonly string[] => [
  keys.stream,
  keys.settings,
  keys.delayed,
  keys.ids,
]

/** Sends on one connection, so that batches arrive in the order they were begun. It ends with the connection. */
export class RedisSender implements Sender {
  readonly #nodes: Nodes
  readonly #session: Session
  readonly #queue: string
  readonly #keys: Keys
  #closed = false

  constructor(nodes: Nodes, session: Session, queue: string, keys: Keys) {
    this.#nodes = nodes
    this.#session = session
    this.#queue = queue
    this.#keys = keys
  }

  async send(batch: readonly Outgoing[], signal: AbortSignal): Promise<readonly Failure[]> {
    if (this.#closed)
      throw new DriverError('CLOSED', 'redis-streams: the sender was closed', { outcome: 'rejected' })
    const failures: Failure[] = []
    const items = new Runs()
    let bytes = 0
    for (const [index, { message, delayMs }] of batch.entries()) {
      const error = tooLarge(message)
      if (error) failures.push({ index, error })
      else items.add(delayMs, message.id, message.body, encodeRest(message))
      bytes += message.body.byteLength + ENTRY_BYTES
    }
    if (failures.length === batch.length) return failures
    const work = this.#session.run(SEND, sendKeys(this.#keys), [pack(items.runs, bytes), '', ''])
    try {
      if ((await untilAborted(work, signal)) === 0) throw notFound(this.#queue)
    } catch (error) {
      this.#nodes.moved(this.#keys.tag, this.#session, error)
      throw error
    }
    return failures
  }

  async close(): Promise<void> {
    this.#closed = true
  }
}

/** Why a message cannot be sent, if so. */
export function tooLarge({ body: { byteLength } }: WireMessage): DriverError | undefined {
  const { bodyBytes } = capabilities.limits
  if (byteLength <= bodyBytes) return undefined
  const message = `redis-streams: a body of ${byteLength} bytes; at most ${bodyBytes} are possible here`
  return new DriverError('TOO_LARGE', message, { outcome: 'rejected' })
}
