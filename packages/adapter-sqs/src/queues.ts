import type { Api } from './api.js'
import { isMissing, untilAborted } from './errors.js'
import { physicalName } from './names.js'

/** A queue as its URL. Both kinds take the same calls, with other parameters. */
export interface QueueRef {
  readonly name: string
  readonly url: string
  readonly fifo: boolean
}

/** SQS's own default, for a queue that may not be asked. */
const UNTOLD_RETENTION_MS = 4 * 86_400_000

/** Knows the queues by name, once looked up. */
export class Queues {
  readonly #api: Api
  readonly #prefix: string
  readonly #refs = new Map<string, Promise<QueueRef>>()
  readonly #retentions = new Map<string, Promise<number>>()

  constructor(api: Api, prefix: string) {
    this.#api = api
    this.#prefix = prefix
  }

  /** @throws the SDK's `QueueDoesNotExist` */
  find(name: string, fifo: boolean, signal?: AbortSignal): Promise<QueueRef> {
    const physical = physicalName(this.#prefix, name, fifo)
    let found = this.#refs.get(physical)
    if (!found) {
      // Callers share it, so none may abort it.
      found = this.#api.urlOf(physical).then((url) => ({ name: physical, url, fifo }))
      this.#refs.set(physical, found)
      found.catch(() => this.forget(physical))
    }
    return untilAborted(found, signal)
  }

  /** The queue of a name, of whichever kind it is. */
  async findAny(name: string, signal?: AbortSignal): Promise<QueueRef> {
    try {
      return await this.find(name, false, signal)
    } catch (error) {
      if (!isMissing(error)) throw error
      return await this.find(name, true, signal).catch(() => {
        throw error
      })
    }
  }

  learn(ref: QueueRef): void {
    this.#refs.set(ref.name, Promise.resolve(ref))
  }

  /** It was not there: look again next time. */
  forget(physical: string): void {
    this.#refs.delete(physical)
    this.#retentions.delete(physical)
  }

  /** How long the queue keeps a message. */
  retentionMs(ref: QueueRef): Promise<number> {
    let known = this.#retentions.get(ref.name)
    if (!known) {
      known = this.#api
        .attributes(ref.url)
        .then(({ MessageRetentionPeriod }) =>
          MessageRetentionPeriod === undefined ? UNTOLD_RETENTION_MS : Number(MessageRetentionPeriod) * 1_000,
        )
        .catch(() => {
          this.#retentions.delete(ref.name)
          return UNTOLD_RETENTION_MS
        })
      this.#retentions.set(ref.name, known)
    }
    return known
  }
}
