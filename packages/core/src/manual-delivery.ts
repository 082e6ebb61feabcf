import type { Book } from './book.js'
import type { Context } from './context.js'
import { decodeFor } from './decode.js'
import type { Duration } from './duration.js'
import { milliseconds } from './duration.js'
import { MsgloopError, Reject } from './error.js'
import { flow } from './flow.js'
import type { Held } from './held.js'
import { Incoming } from './incoming.js'
import type { Judgement } from './judge.js'
import { acked, beforeUserCode, deadLetter, judgeFailure, RELEASE, UNANSWERED } from './judge.js'
import type { Delivery } from './message.js'
import { receiptFor } from './receipt.js'
import type { ResolvedQueue } from './resolved-queue.js'
import { retriesHere } from './resolved-queue.js'
import { publishSettled } from './steps.js'

const CONSUMER = 'receive'
const yes = (): boolean => true
const no = (): boolean => false

/** A message whose settling is the application's. */
export class ManualDelivery<T> extends Incoming<T> implements Delivery<T> {
  readonly #context: Context
  readonly #resolved: ResolvedQueue<T>
  readonly #mine: Held
  readonly #pages: Book
  /** Epoch ms, and by the clock's `elapsed`. */
  readonly #since: number
  readonly #begun: number
  #settled: { verb: string; done: Promise<void> } | undefined
  /** It was acked before it was shown, and that was no time to answer. */
  #owesAnswer: boolean

  constructor(context: Context, resolved: ResolvedQueue<T>, held: Held, book: Book, body: T) {
    super(held, book, body, resolved.definition.name)
    this.#context = context
    this.#resolved = resolved
    this.#mine = held
    this.#pages = book
    this.#since = context.clock.now()
    this.#begun = context.clock.elapsed()
    this.#owesAnswer = atMostOnce(resolved)
    if (this.#owesAnswer) this.#settled = { verb: 'ack', done: Promise.resolve() }
  }

  async ack(answer?: unknown): Promise<void> {
    if (!this.#owesAnswer) return await this.#settle('ack', () => acked(answer))
    this.#owesAnswer = false
    await this.#context.answers.settled(this.#resolved, this.#mine.delivery.message, acked(answer))
  }

  release(): Promise<void> {
    return this.#settle('release', () => RELEASE)
  }

  retry(options: { error?: unknown; delay?: Duration } = {}): Promise<void> {
    const delayMs =
      options.delay === undefined ? undefined : milliseconds('retry: option "delay"', options.delay)
    return this.#settle('retry', () => this.#fail(options.error ?? new Error('retried by hand'), { delayMs }))
  }

  reject(error: unknown = new Reject('rejected by hand')): Promise<void> {
    return this.#settle('reject', () => this.#fail(error, { final: true }))
  }

  async extend(lease?: Duration): Promise<void> {
    const ms = lease === undefined ? this.#resolved.definition.leaseMs : milliseconds('extend', lease)
    await this.#mine.intake.extend(this.#mine, ms)
  }

  #fail(error: unknown, how: { final?: boolean; delayMs?: number | undefined }): Judgement {
    const { definition, spec } = this.#resolved
    return judgeFailure(this.#context, definition, spec.role, this.#pages, {
      error,
      at: this.#since,
      durationMs: Math.floor(this.#context.clock.elapsed() - this.#begun),
      consumer: CONSUMER,
      ...how,
    })
  }

  #settle(verb: string, judge: () => Judgement): Promise<void> {
    const before = this.#settled
    if (before?.verb === verb) return before.done
    if (before)
      return Promise.reject(
        new MsgloopError(
          'SETTLED',
          `queue "${this.queue}": message ${this.id} was settled by ${before.verb}(); ${verb}() comes too late`,
        ),
      )
    const done = this.#tell(judge())
    this.#settled = { verb, done }
    // What failed may be tried again, in any way.
    done.catch(() => {
      this.#settled = undefined
    })
    return done
  }

  async #tell(judged: Judgement): Promise<void> {
    if (judged.verdict.kind === 'retry' && retriesHere(this.#context, this.#resolved))
      throw new MsgloopError(
        'UNSUPPORTED',
        `queue "${this.queue}": on ${this.#context.driver.name} a retry by hand would lose its turn among those of its key; consume(), or release() it`,
      )
    const receipt = receiptFor(this.#resolved, this.#pages, judged)
    const { intake } = this.#mine
    // Without a receipt, as whoever waited for it is gone, it was handled all the same.
    const settled = receipt ? intake.settle(this.#mine, receipt.verdict).then(yes, no) : no()
    if (!(await settled)) await settle(this.#context, this.#resolved, this.#mine, judged)
    if (!flow.hasSubscribers) return
    publishSettled(this.#context, this.#mine, {
      queue: this.queue,
      consumer: CONSUMER,
      book: this.#pages,
      judged,
    })
  }
}

/** Makes a dead-letter queue that has gone missing again, where that is allowed. */
async function settle(
  context: Context,
  resolved: ResolvedQueue<unknown>,
  held: Held,
  judged: Judgement,
): Promise<void> {
  const { name } = resolved.definition
  context.attempts.settling(name, held.delivery, judged)
  try {
    await held.intake.settle(held, judged.verdict)
  } catch (error) {
    const { topology } = context
    if (!(error instanceof MsgloopError && error.code === 'NOT_FOUND' && topology.declares)) throw error
    topology.forget(resolved.spec)
    await topology.ensure(resolved)
    await held.intake.settle(held, judged.verdict)
  }
  context.attempts.settled(name, held.delivery, judged)
  await context.answers.settled(resolved, held.delivery.message, judged)
}

/**
 * Makes a delivery of what was received, or dead-letters what no application code may see:
 * expired, unreadable, or handed over too often. Where it may be seen once at most it is acked first.
 */
export async function toDelivery<T>(
  context: Context,
  resolved: ResolvedQueue<T>,
  held: Held,
): Promise<ManualDelivery<T> | undefined> {
  const book = context.attempts.read(resolved.definition.name, held.delivery)
  let judged = beforeUserCode(context, resolved, held, book)
  let shown: ManualDelivery<T> | undefined
  if (!judged) {
    const decoded = await decodeFor(resolved, held.delivery.message)
    if (decoded.ok) {
      shown = new ManualDelivery(context, resolved, held, book, decoded.body)
      if (!atMostOnce(resolved)) return shown
      judged = acked(UNANSWERED)
    } else judged = deadLetter(context, resolved.definition, book, decoded.reason, decoded)
  }
  try {
    await settle(context, resolved, held, judged)
  } catch (error) {
    // Nobody will settle what was never shown: back it goes.
    await held.intake.settle(held, RELEASE.verdict).catch(() => {})
    throw error
  }
  if (flow.hasSubscribers)
    publishSettled(context, held, { queue: resolved.definition.name, consumer: CONSUMER, book, judged })
  return shown
}

/** Whether a delivery is acked before anybody sees it. */
function atMostOnce({ definition }: ResolvedQueue<unknown>): boolean {
  return definition.guarantee === 'at-most-once'
}
