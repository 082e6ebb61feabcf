import { untilAborted } from '@msgloop/core/driver'
import type { Api } from './api.js'
import { isMissing } from './errors.js'
import type { Fifo } from './fifo.js'
import { physicalName } from './names.js'
import { fifoOfAttributes } from './topology.js'

/** A queue as its URL. Both kinds take the same calls, with other parameters. */
export interface QueueRef {
  readonly name: string
  readonly url: string
  /** Absent: a standard queue. */
  readonly fifo: Fifo | undefined
}

/** SQS's own default, for a queue that may not be asked. */
const UNTOLD_RETENTION_MS = 4 * 86_400_000

/** Knows the queues by name, once looked up. */
export class Queues {
  readonly #api: Api
  readonly #prefix: string
  readonly #urls = new Map<string, Promise<string>>()
  readonly #retentions = new Map<string, Promise<number>>()
  readonly #foreignFifos = new Map<string, Fifo>()

  constructor(api: Api, prefix: string) {
    this.#api = api
    this.#prefix = prefix
  }

  /** @throws the SDK's `QueueDoesNotExist` */
  async find(name: string, fifo: Fifo | undefined, signal?: AbortSignal): Promise<QueueRef> {
    const physical = physicalName(this.#prefix, name, fifo !== undefined)
    let url = this.#urls.get(physical)
    if (!url) {
      // Callers share it, so none may abort it.
      url = this.#api.urlOf(physical)
      this.#urls.set(physical, url)
      url.catch(() => this.forget(physical))
    }
    return { name: physical, url: await untilAborted(url, signal), fifo }
  }

  /** The queue of a name, of whichever kind it is. */
  async findAny(name: string, signal?: AbortSignal): Promise<QueueRef> {
    try {
      return await this.find(name, undefined, signal)
    } catch (error) {
      if (!isMissing(error)) throw error
      const ref = await this.find(name, { keyed: false, unique: false }, signal).catch(() => {
        throw error
      })
      return { ...ref, fifo: await this.#fifoOf(ref, signal) }
    }
  }

  learn(physical: string, url: string): void {
    this.#urls.set(physical, Promise.resolve(url))
  }

  /** It was not there: look again next time. */
  forget(physical: string): void {
    this.#urls.delete(physical)
    this.#retentions.delete(physical)
    this.#foreignFifos.delete(physical)
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

  /** What a queue is there for, whose definition we were not given. */
  async #fifoOf({ name, url }: QueueRef, signal?: AbortSignal): Promise<Fifo> {
    const known = this.#foreignFifos.get(name)
    if (known) return known
    const fifo = fifoOfAttributes(await this.#api.attributes(url, signal))
    this.#foreignFifos.set(name, fifo)
    return fifo
  }
}
