import { reconnectDelayMs } from './backoff.js'
import type { Book } from './book.js'
import { sleep } from './clock.js'
import type { Context } from './context.js'
import { bounded } from './context.js'
import { MsgloopError } from './error.js'
import { flow } from './flow.js'
import type { Held } from './held.js'
import type { Judgement } from './judge.js'
import { RELEASE } from './judge.js'
import { receiptFor } from './receipt.js'
import type { ResolvedQueue } from './resolved-queue.js'
import { publishSettled } from './steps.js'
import type { Trouble } from './trouble.js'

/** Tries to settle before the delivery is given back instead. */
const TRIES = 6
const REMAKE_MS = 10_000

/**
 * Settles for a consumer, and does not give up lightly: a settlement that fails is tried again while
 * the delivery is ours, then the delivery is released, so that it is neither lost nor stuck.
 */
export class Settler {
  readonly #context: Context
  readonly #resolved: ResolvedQueue<unknown>
  readonly #consumer: string
  readonly #trouble: Trouble

  constructor(context: Context, resolved: ResolvedQueue<unknown>, consumer: string, trouble: Trouble) {
    this.#context = context
    this.#resolved = resolved
    this.#consumer = consumer
    this.#trouble = trouble
  }

  /** Never rejects. Resolves with whether the message is off the queue: acked or moved, and not to come again. */
  async settle(held: Held, judged: Judgement, book: Book, durationMs?: number): Promise<boolean> {
    const receipt = receiptFor(this.#resolved, book, judged)
    let judgement = receipt ?? judged
    const queue = this.#resolved.definition.name
    const { attempts, answers } = this.#context
    attempts.settling(queue, held.delivery, judged)
    for (let attempt = 1; !held.lost; attempt++) {
      try {
        await held.intake.settle(held, judgement.verdict)
        attempts.settled(queue, held.delivery, judgement)
        const end = judgement === receipt ? judged : judgement
        const full = answers.settled(this.#resolved, held.delivery.message, end)
        if (full) await full
        if (flow.hasSubscribers)
          publishSettled(this.#context, held, {
            queue,
            consumer: this.#consumer,
            book,
            judged: judgement,
            durationMs,
          })
        return judgement.verdict.kind === 'ack' || judgement.verdict.kind === 'move'
      } catch (error) {
        if (error instanceof MsgloopError && error.code === 'LEASE_LOST') return false
        // Whoever waited for it is gone; the message was handled all the same.
        if (judgement === receipt) {
          judgement = judged
          continue
        }
        this.#trouble.report(error)
        if (judgement === RELEASE && attempt > TRIES) {
          held.intake.lose(held, asLost(error))
          return false
        }
        if (attempt >= TRIES) judgement = RELEASE
        if (error instanceof MsgloopError && error.code === 'NOT_FOUND') await this.#remake()
        await sleep(this.#context.clock, reconnectDelayMs(attempt, this.#context.random))
      }
    }
    return false
  }

  /** The dead-letter queue is gone: make it again where we may. */
  async #remake(): Promise<void> {
    const { topology } = this.#context
    topology.forget(this.#resolved.spec)
    await bounded(this.#context, REMAKE_MS, `declaring queue "${this.#resolved.spec.name}"`, undefined, () =>
      topology.ensure(this.#resolved),
    ).catch((error) => this.#trouble.report(error))
  }
}

function asLost(error: unknown): MsgloopError {
  return new MsgloopError('LEASE_LOST', error instanceof Error ? error.message : String(error), {
    cause: error,
  })
}
