import { randomBytes } from 'node:crypto'
import type { Api } from './api.js'

/** Whoever waits for an answer has a timeout; what nobody fetched is gone soon after. */
const RETENTION_SECONDS = 300
/** Looked at, of those that others left behind, each time. */
const MOST_LOOKED_AT = 50
/** Of random, in a name of at most 80 characters with a prefix of 40. */
const RANDOM_BYTES = 16

/**
 * Queues for answers, each of one process. A process that was killed leaves its own behind, so each queue says how
 * long it may go without a sign of life: its `VisibilityTimeout`, which is of no other use, as receipts bring their
 * own. A sign of life is to set it, which moves `LastModifiedTimestamp`: no clock but the broker's is compared.
 */
export class ReplyQueues {
  readonly #api: Api
  readonly #prefix: string
  readonly #lifeSeconds: number

  constructor(api: Api, prefix: string, lifeSeconds: number) {
    this.#api = api
    this.#prefix = `${prefix}msgloop-replies-`
    this.#lifeSeconds = lifeSeconds
  }

  /** Between two signs of life: one may fail, and another come late. */
  get beatMs(): number {
    return (this.#lifeSeconds * 1_000) / 4
  }

  /** @returns its URL */
  create(signal: AbortSignal): Promise<string> {
    const name = `${this.#prefix}${randomBytes(RANDOM_BYTES).toString('base64url')}`
    const attributes = {
      MessageRetentionPeriod: String(RETENTION_SECONDS),
      VisibilityTimeout: String(this.#lifeSeconds),
    }
    return this.#api.create(name, attributes, signal)
  }

  /** A sign of life. Each differs from the one before, should setting what is set change nothing. */
  async beat(url: string, nth: number): Promise<void> {
    await this.#api.setAttributes(url, { VisibilityTimeout: String(this.#lifeSeconds + (nth % 2)) })
  }

  async remove(url: string): Promise<void> {
    await this.#api.remove(url)
  }

  /**
   * Deletes what the killed left behind. Never a queue that is in use, unless its process was stopped for a whole
   * life of it: that is told so when it goes on, and makes another.
   *
   * @param mine a queue that was made just now
   */
  async reap(mine: string): Promise<void> {
    const { LastModifiedTimestamp: now } = await this.#api.attributes(mine)
    const others = (await this.#api.list(this.#prefix)).filter((url) => url !== mine)
    const from = Math.floor(Math.random() * others.length)
    const some = [...others.slice(from), ...others.slice(0, from)].slice(0, MOST_LOOKED_AT)
    for (const url of some) {
      const { LastModifiedTimestamp: last, VisibilityTimeout: life } = await this.#api.attributes(url)
      if (Number(now) - Number(last) > Number(life) + 1) await this.remove(url)
    }
  }
}
