import type { Failure, Outgoing, Sender } from '@msgloop/core/driver'
import type { Api } from './api.js'
import { store } from './batch.js'
import type { QueueRef, Queues } from './queues.js'
import { Turns } from './turns.js'
import { encode } from './wire.js'

export class SqsSender implements Sender {
  readonly #api: Api
  readonly #queues: Queues
  readonly #ref: QueueRef
  readonly #turns = new Turns()

  constructor(api: Api, queues: Queues, ref: QueueRef) {
    this.#api = api
    this.#queues = queues
    this.#ref = ref
  }

  send(batch: readonly Outgoing[], signal: AbortSignal): Promise<readonly Failure[]> {
    const { fifo } = this.#ref
    const all = batch.map(({ message, delayMs }, index) => ({ index, item: encode(message, delayMs, fifo) }))
    const send = (): Promise<Failure[]> => store(this.#api, this.#queues, this.#ref, all, signal)
    if (!fifo?.keyed) return send()
    return this.#turns.take(new Set(all.map(({ item }) => item.entry.MessageGroupId ?? '')), send)
  }

  /** There is nothing to let go of. */
  async close(): Promise<void> {}
}
