import { reconnectDelayMs } from './backoff.js'
import { sleep } from './clock.js'
import type { Handler } from './consumer.js'
import type { Context } from './context.js'
import { MsgloopError } from './error.js'
import type { Held } from './held.js'
import type { Inbox } from './inbox.js'
import type { Judgement } from './judge.js'
import { acked, RELEASE, UNANSWERED } from './judge.js'
import { markOf } from './mark.js'
import type { Message } from './message.js'
import type { ResolvedQueue } from './resolved-queue.js'
import type { Trouble } from './trouble.js'

/** How far a message came in the inbox. */
type Progress = 'waiting' | 'begun' | 'over'

/**
 * Puts an inbox between a consumer and its handler (X3). Middleware stays outside the transaction: what it waits
 * for holds no lock, and its `next` resolves when the commit is through.
 */
export class ExactlyOnce<T> {
  readonly handler: Handler<T>
  readonly #context: Context
  readonly #queue: string
  readonly #inbox: Inbox<unknown>
  readonly #trouble: Trouble
  readonly #progress = new WeakMap<Message<T>, Progress>()
  #checked = false

  constructor(
    context: Context,
    queue: string,
    inbox: Inbox<unknown>,
    handler: Handler<T, never>,
    trouble: Trouble,
  ) {
    this.#context = context
    this.#queue = queue
    this.#inbox = inbox
    this.#trouble = trouble
    this.handler = async (body, message) => {
      let answer: unknown = UNANSWERED
      await this.#run(message, async (tx) => {
        answer = await handler(body, message, tx as never)
      })
      return answer
    }
  }

  /** To be called before anything is fetched. */
  async check(): Promise<void> {
    if (this.#checked) return
    await this.#inbox.check()
    this.#checked = true
  }

  /** The inbox never let the handler begin, whatever became of the message otherwise: that is no attempt. */
  unbegun(message: Message<T>): boolean {
    return this.#progress.get(message) === 'waiting'
  }

  /**
   * What is to become of a delivery, given what its end would be without an inbox. A message that was handled
   * (and whose ack or commit was not heard of) may come again past its expiry, or once too often: it is never
   * dead-lettered. While the inbox cannot tell, the message stays.
   */
  async judge(held: Held, judged: Judgement): Promise<Judgement> {
    if (judged.verdict.kind !== 'move') return judged
    const mark = markOf(this.#queue, held.delivery.message.id)
    for (let attempt = 1; !held.signal.aborted; attempt++) {
      try {
        const found = await this.#inbox.find(mark, held.signal)
        if (found === 'unmarked') return judged
        if (found === 'marked') return acked(UNANSWERED)
      } catch (error) {
        this.#trouble.report(error)
      }
      await this.#wait(attempt, held.signal)
    }
    return RELEASE
  }

  /**
   * While the inbox is out of reach, and while somebody else runs the message, it waits here with its lease
   * renewed: the slot is taken, so the consumer fetches no more than it can hold.
   */
  async #run(message: Message<T>, work: (tx: unknown) => Promise<void>): Promise<void> {
    const mark = markOf(this.#queue, message.id)
    const { signal } = message
    this.#progress.set(message, 'waiting')
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        const outcome = await this.#inbox.run(
          mark,
          (tx) => {
            this.#progress.set(message, 'begun')
            return work(tx)
          },
          signal,
        )
        if (outcome !== 'running') {
          this.#progress.set(message, 'over')
          return
        }
      } catch (error) {
        if (this.#progress.get(message) === 'begun') throw error
        if (!signal.aborted) this.#trouble.report(error)
      }
      await this.#wait(attempt, signal)
    }
    throw signal.reason
  }

  #wait(attempt: number, signal: AbortSignal): Promise<void> {
    return sleep(this.#context.clock, reconnectDelayMs(attempt, this.#context.random), signal)
  }
}

/**
 * `undefined` for a queue of another guarantee.
 * @throws MsgloopError `INVALID` for a queue without its inbox, or an inbox without its queue
 */
export function exactlyOnce<T>(
  context: Context,
  { definition }: ResolvedQueue<T>,
  handler: Handler<T, never>,
  inbox: Inbox<unknown> | undefined,
  trouble: Trouble,
): ExactlyOnce<T> | undefined {
  const at = `consume of queue "${definition.name}"`
  if (definition.guarantee !== 'exactly-once') {
    if (inbox === undefined) return undefined
    throw new MsgloopError('INVALID', `${at}: option "inbox" needs a queue with guarantee: 'exactly-once'`)
  }
  if (inbox === undefined)
    throw new MsgloopError(
      'INVALID',
      `${at}: its guarantee is 'exactly-once', so option "inbox" is needed: postgresInbox(pool), redisInbox(client), memoryInbox(), …`,
    )
  if (
    typeof inbox?.run !== 'function' ||
    typeof inbox.find !== 'function' ||
    typeof inbox.check !== 'function'
  )
    throw new MsgloopError('INVALID', `${at}: option "inbox" takes an inbox with check(), run() and find()`)
  return new ExactlyOnce(context, definition.name, inbox, handler, trouble)
}
