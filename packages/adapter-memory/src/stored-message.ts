import type { NativeDeath, WireMessage } from '@msgloop/core/driver'
import { BOOK_HEADERS, RESERVED_PREFIX } from '@msgloop/core/driver'
import type { Due } from './due-heap.js'

/** A message as a queue holds it: ready, delayed or leased. */
export class StoredMessage implements Due {
  readonly order: number
  readonly message: WireMessage
  /** Since when it can be received, first of all. Epoch ms; later than now while it is delayed. */
  readonly since: number
  readonly nativeDeath: NativeDeath | undefined
  /** Hand-overs of this copy. */
  handed = 0
  /** How many of these were given back, which is no attempt. */
  released = 0
  /** Waiting for a delay or a retry. */
  delayed = false
  /** Waiting for a retry, and keeping its turn meanwhile. */
  stalls = false
  /** Place among those that became ready; one that is given back takes it again. */
  place = 0
  at = 0
  slot = -1
  readonly #handedBefore: number

  constructor(order: number, message: WireMessage, since: number, nativeDeath?: NativeDeath) {
    this.order = order
    this.message = message
    this.since = since
    this.nativeDeath = nativeDeath
    this.#handedBefore = count(message.headers[BOOK_HEADERS.deliveries])
  }

  /** Hand-overs of this and earlier copies. */
  get deliveries(): number {
    return this.#handedBefore + this.handed
  }
}

/**
 * What to keep of a message that is sent: nothing that the sender can still change. `Buffer.from`
 * copies, and takes small copies from a pool: an ArrayBuffer each would cost more than all the rest.
 */
export function keep(message: WireMessage): WireMessage {
  return { ...message, body: Buffer.from(message.body), headers: Object.freeze({ ...message.headers }) }
}

/**
 * What to hand out. The bytes are a copy, since a codec may pass them to a handler, which may write to
 * them before it fails: the next attempt must see the original. Headers are frozen, so they are shared.
 */
export function show(message: WireMessage): WireMessage {
  return { ...message, body: Buffer.from(message.body) }
}

/** The message with other bookkeeping. Bytes are shared: they never leave but through `show`. */
export function withBook(message: WireMessage, book: Readonly<Record<string, string>>): WireMessage {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(message.headers))
    if (!name.startsWith(RESERVED_PREFIX)) headers[name] = value
  return { ...message, headers: Object.freeze({ ...headers, ...book }) }
}

function count(header: string | undefined): number {
  const value = Number(header ?? 0)
  return Number.isSafeInteger(value) && value > 0 ? value : 0
}
