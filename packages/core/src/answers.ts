import { answerTo } from './answer.js'
import { reconnectDelayMs } from './backoff.js'
import { sleep } from './clock.js'
import type { Context } from './context.js'
import { bounded } from './context.js'
import type { Reply, WireMessage } from './driver.js'
import type { Judgement } from './judge.js'
import type { ResolvedQueue } from './resolved-queue.js'
import { Trouble } from './trouble.js'
import { wrap } from './wrap.js'

const SEND_MS = 10_000
/** Who waits has a timeout, so an answer is worth a second or so of trying. */
const TRIES = 5
/** More of them, and who settles waits until they are sent: handlers may be faster than answers. */
const MOST_WAITING = 1_000

/**
 * Answers requests, once they are settled: never before, as a request that is handled again would be answered
 * twice. A process that dies in between leaves its requester to the timeout.
 */
export class Answers {
  readonly #context: Pick<Context, 'driver' | 'clock' | 'random'>
  readonly #trouble: Trouble
  #waiting: Reply[] = []
  #sending: Promise<void> | undefined

  constructor(context: Pick<Context, 'driver' | 'clock' | 'random'>) {
    this.#context = context
    this.#trouble = new Trouble(`answers through ${context.driver.name}`, undefined)
  }

  /**
   * To be called when a delivery was settled so. Does nothing for what is no request, or has not ended. An entry
   * of a dead-letter queue was answered when it was put there. What it returns is to be awaited before more is
   * settled; never rejects.
   */
  settled(
    { definition, spec }: ResolvedQueue<unknown>,
    request: WireMessage,
    judged: Judgement,
  ): Promise<void> | undefined {
    const { driver, clock } = this.#context
    const { replyTo } = request
    if (replyTo === undefined || !driver.replies || spec.role === 'dead-letter') return undefined
    const { codec } = definition
    const { bodyBytes } = driver.capabilities.limits
    const reply = answerTo({ ...request, replyTo }, judged, { codec, bodyBytes }, clock.now())
    if (!reply) return undefined
    this.#waiting.push(reply)
    this.#sending ??= Promise.resolve().then(() => this.#sendAll())
    return this.#waiting.length > MOST_WAITING ? this.#sending : undefined
  }

  /** Resolves when all answers are sent, or given up. */
  async close(): Promise<void> {
    await this.#sending
  }

  /** What comes meanwhile goes with the next batch. */
  async #sendAll(): Promise<void> {
    while (this.#waiting.length > 0) await this.#send(this.#cut())
    this.#sending = undefined
  }

  #cut(): Reply[] {
    const { sendBatch, sendBatchBytes } = this.#context.driver.capabilities.limits
    let bytes = 0
    const over = this.#waiting.findIndex(({ message }, at) => {
      bytes += message.body.byteLength
      return at > 0 && (at === sendBatch || bytes > sendBatchBytes)
    })
    return this.#waiting.splice(0, over === -1 ? this.#waiting.length : over)
  }

  async #send(batch: readonly Reply[]): Promise<void> {
    const { clock, random } = this.#context
    let left = batch
    for (let attempt = 1; left.length > 0; attempt++) {
      left = await this.#try(left, attempt === TRIES)
      if (left.length > 0) await sleep(clock, reconnectDelayMs(attempt, random))
    }
  }

  /** Resolves with what is worth another try. A second copy does no harm: the first answer counts. */
  async #try(batch: readonly Reply[], last: boolean): Promise<readonly Reply[]> {
    const { driver } = this.#context
    const again: Reply[] = []
    const failed = (reply: Reply | undefined, error: unknown): void => {
      const wrapped = wrap(driver, { action: 'answer a request' }, error)
      if (reply && wrapped.retryable && !last) again.push(reply)
      else this.#trouble.report(wrapped)
    }
    try {
      const failures = await bounded(this.#context, SEND_MS, 'sending answers', undefined, async (signal) =>
        driver.replies ? await driver.replies.send(batch, signal) : [],
      )
      for (const { index, error } of failures) failed(batch[index], error)
    } catch (error) {
      for (const reply of batch) failed(reply, error)
    }
    return again
  }
}
