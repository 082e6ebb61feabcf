import type { Failure, Replies, Reply, ReplyChannel, ReplyOptions } from '@msgloop/core/driver'
import type { Api } from './api.js'
import { type Indexed, store } from './batch.js'
import { isMissing } from './errors.js'
import type { Fifo } from './fifo.js'
import type { QueueRef, Queues } from './queues.js'
import { SqsReplyChannel } from './reply-channel.js'
import type { ReplyQueues } from './reply-queues.js'
import { encode } from './wire.js'

/** A foreign client may wait at a FIFO queue. */
const FIFO: Fifo = { keyed: false, unique: false }

/** Answers come to a queue of the process that asks; its address is the queue's URL. */
export class SqsReplies implements Replies {
  readonly #api: Api
  readonly #queues: Queues
  readonly #replyQueues: ReplyQueues
  readonly #waitSeconds: number

  constructor(api: Api, queues: Queues, replyQueues: ReplyQueues, waitSeconds: number) {
    this.#api = api
    this.#queues = queues
    this.#replyQueues = replyQueues
    this.#waitSeconds = waitSeconds
  }

  async open(options: ReplyOptions, signal: AbortSignal): Promise<ReplyChannel> {
    const url = await this.#replyQueues.create(signal)
    // Whether somebody was killed is no concern of who asks now.
    this.#replyQueues.reap(url).catch(() => {})
    const parts = { api: this.#api, queues: this.#replyQueues, url, waitSeconds: this.#waitSeconds }
    return new SqsReplyChannel(parts, options)
  }

  async send(batch: readonly Reply[], signal: AbortSignal): Promise<readonly Failure[]> {
    const byAddress = new Map<string, Indexed<Reply>[]>()
    batch.forEach((item, index) => {
      byAddress.set(item.address, [...(byAddress.get(item.address) ?? []), { index, item }])
    })
    const failures = await Promise.all(
      [...byAddress].map(([address, all]) => this.#send(address, all, signal)),
    )
    return failures.flat().filter(({ error }) => !isMissing(error))
  }

  async #send(
    address: string,
    all: readonly Indexed<Reply>[],
    signal: AbortSignal,
  ): Promise<readonly Failure[]> {
    try {
      const ref = await this.#refOf(address, signal)
      const encoded = all.map(({ index, item: { message } }) => ({
        index,
        item: encode(message, 0, ref.fifo),
      }))
      return await store(this.#api, this.#queues, ref, encoded, signal)
    } catch (error) {
      return all.map(({ index }) => ({ index, error }))
    }
  }

  /** Foreign clients may give the name of their queue. */
  async #refOf(address: string, signal: AbortSignal): Promise<QueueRef> {
    const url = /^https?:/.test(address) ? address : await this.#api.urlOf(address, signal)
    return { name: address, url, fifo: address.endsWith('.fifo') ? FIFO : undefined }
  }
}
