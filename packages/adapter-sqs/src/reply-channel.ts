import type { Message } from '@aws-sdk/client-sqs'
import {
  type CancelTimer,
  type ReplyChannel,
  type ReplyOptions,
  sleep,
  systemClock,
} from '@msgloop/core/driver'
import type { Api } from './api.js'
import { inRequests, SMALL } from './batch.js'
import { Bell } from './bell.js'
import { isMissing } from './errors.js'
import { Poller } from './poller.js'
import type { ReplyQueues } from './reply-queues.js'
import { decode } from './wire.js'

/** Answers that may be on their way at once: as much as the poller asks for. */
const FREE = 100
const LEASE_SECONDS = 30
/** A new queue may be unknown to some servers of SQS for so long. */
const NEW_MS = 15_000
/** Between requests for messages while they fail. */
const PAUSE_MS = 1_000

export interface ReplyChannelParts {
  readonly api: Api
  readonly queues: ReplyQueues
  readonly url: string
  readonly waitSeconds: number
}

/**
 * Fetches answers from a queue until it is closed or the queue is gone. A broken line is no loss: the queue
 * outlives it, and what is answered meanwhile is fetched afterwards.
 */
export class SqsReplyChannel implements ReplyChannel {
  readonly address: string
  readonly #parts: ReplyChannelParts
  readonly #options: ReplyOptions
  readonly #bell = new Bell()
  readonly #over = new AbortController()
  readonly #openedAt = systemClock.elapsed()
  #failing = false
  #cancelBeat: CancelTimer = () => {}
  #closing: Promise<void> | undefined

  constructor(parts: ReplyChannelParts, options: ReplyOptions) {
    this.#parts = parts
    this.#options = options
    this.address = parts.url
    void this.#fetch()
    this.#beatLater(1)
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      this.#end()
      await this.#parts.queues.remove(this.#parts.url).catch((error: unknown) => {
        if (!isMissing(error)) throw error
      })
    })()
    return this.#closing
  }

  #end(): void {
    this.#over.abort()
    this.#cancelBeat()
    this.#bell.ring()
  }

  async #fetch(): Promise<void> {
    const { api, url, waitSeconds } = this.#parts
    const poller = new Poller({
      api,
      url,
      waitSeconds,
      most: 10,
      leaseSeconds: LEASE_SECONDS,
      free: () => FREE,
      busy: () => false,
      arrived: (messages) => this.#arrived(messages),
      failed: (error) => this.#failed(error),
      ring: () => this.#bell.ring(),
    })
    while (!this.#over.signal.aborted) {
      if (this.#failing) await sleep(systemClock, PAUSE_MS, this.#over.signal)
      this.#failing = false
      if (this.#over.signal.aborted) return
      poller.want(waitSeconds * 1_000)
      await this.#bell.heard()
    }
  }

  #arrived(messages: readonly Message[]): void {
    if (this.#over.signal.aborted) return
    for (const message of messages) this.#options.onReply(decode(message).message)
    const { api, url } = this.#parts
    const all = messages.map(({ ReceiptHandle }, index) => ({ index, item: { ReceiptHandle } }))
    // What fails comes again, and nobody waits for it any more.
    void inRequests(all, SMALL, (part) =>
      api.delete(
        url,
        part.map((item, n) => ({ ...item, Id: String(n) })),
      ),
    )
  }

  #failed(error: unknown): void {
    this.#failing = true
    if (isMissing(error) && systemClock.elapsed() - this.#openedAt > NEW_MS) this.#lost(error)
  }

  #lost(error: unknown): void {
    if (this.#over.signal.aborted) return
    this.#end()
    this.#options.onLost(error)
  }

  #beatLater(nth: number): void {
    const { queues, url } = this.#parts
    this.#cancelBeat = systemClock.after(queues.beatMs, () => {
      if (this.#over.signal.aborted) return
      queues.beat(url, nth).catch((error: unknown) => this.#failed(error))
      this.#beatLater(nth + 1)
    })
  }
}
