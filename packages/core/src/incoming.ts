import type { Book } from './book.js'
import { userHeaders } from './book.js'
import type { Lane } from './driver.js'
import type { Held } from './held.js'
import type { Message } from './message.js'

/** A received message, as a view of its delivery. */
export class Incoming<T> implements Message<T> {
  readonly #held: Held
  readonly #book: Book
  readonly body: T
  readonly queue: string
  #headers: Readonly<Record<string, string>> | undefined

  constructor(held: Held, book: Book, body: T, queue: string) {
    this.#held = held
    this.#book = book
    this.body = body
    this.queue = queue
  }

  get id(): string {
    return this.#wire.id
  }
  get headers(): Readonly<Record<string, string>> {
    this.#headers ??= userHeaders(this.#wire.headers)
    return this.#headers
  }
  get attempt(): number {
    return this.#book.attempt
  }
  get deliveries(): number {
    return this.#held.delivery.deliveries
  }
  get replays(): number {
    return this.#book.replays
  }
  get timestamp(): Date | undefined {
    return this.#wire.timestamp > 0 ? new Date(this.#wire.timestamp) : undefined
  }
  get contentType(): string | undefined {
    return this.#wire.contentType
  }
  get type(): string | undefined {
    return this.#wire.type
  }
  get schemaVersion(): string | undefined {
    return this.#wire.schemaVersion
  }
  get correlationId(): string | undefined {
    return this.#wire.correlationId
  }
  get causationId(): string | undefined {
    return this.#wire.causationId
  }
  get key(): string | undefined {
    return this.#wire.key
  }
  get subject(): string | undefined {
    return this.#wire.subject
  }
  get replyTo(): string | undefined {
    return this.#wire.replyTo
  }
  get priority(): Lane {
    return this.#wire.lane ?? 'normal'
  }
  get expiresAt(): Date | undefined {
    return this.#wire.expiresAt === undefined ? undefined : new Date(this.#wire.expiresAt)
  }
  get traceparent(): string | undefined {
    return this.#wire.traceparent
  }
  get tracestate(): string | undefined {
    return this.#wire.tracestate
  }
  get signal(): AbortSignal {
    return this.#held.signal
  }
  native(): unknown {
    return this.#held.delivery.native
  }

  get #wire(): Held['delivery']['message'] {
    return this.#held.delivery.message
  }
}
