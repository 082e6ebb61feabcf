import assert from 'node:assert/strict'
import type {
  ConsumeOptions,
  FlowEvent,
  Inbox,
  Message,
  Queue,
  QueueDefinition,
  QueueOptions,
} from '@msgloop/core'
import { defineQueue, immediate } from '@msgloop/core'
import type { CaseContext, OpenOptions } from './context.js'
import type { InboxBed } from './inbox-bed.js'

/** What a handler of these cases does, besides its one effect; `nth` counts the runs of this message, from 1. */
export type OnceHandler = (message: Message<unknown>, nth: number, effect: () => Promise<void>) => unknown

/** A queue with an inbox, as an application has them, and every run of its handler written down. */
export class OnceRuns {
  readonly queue: Queue<unknown>
  readonly definition: QueueDefinition<unknown>
  /** Ids in order of start. */
  readonly started: string[] = []
  readonly attempts: number[] = []
  readonly troubles: unknown[] = []
  /** Runs of one id at the same time, the most there ever were. */
  mostBeside = 0
  readonly #t: CaseContext
  readonly #bed: InboxBed
  readonly #events: readonly FlowEvent[]
  readonly #beside = new Map<string, number>()

  private constructor(
    t: CaseContext,
    bed: InboxBed,
    definition: QueueDefinition<unknown>,
    queue: Queue<unknown>,
  ) {
    this.#t = t
    this.#bed = bed
    this.#events = t.events(definition.name)
    this.definition = definition
    this.queue = queue
  }

  static async open(
    t: CaseContext,
    options: QueueOptions<unknown> = {},
    open?: OpenOptions,
  ): Promise<OnceRuns> {
    const bed = bedOf(t)
    const definition = defineQueue(t.name('x3'), {
      guarantee: 'exactly-once',
      retry: immediate({ attempts: 5 }),
      ...options,
    })
    const queue = await t.open(definition, open)
    return new OnceRuns(t, bed, definition, queue)
  }

  /** Consumes by a broker and an inbox client of its own. The handler's effect is counted under the message's id. */
  async consume(
    handler?: OnceHandler,
    options?: Omit<ConsumeOptions, 'inbox'>,
    open?: OpenOptions,
  ): Promise<void> {
    await this.consumeBy(await this.inbox(), handler, options, open)
  }

  async consumeBy(
    inbox: Inbox<unknown>,
    handler: OnceHandler = (_message, _nth, effect) => effect(),
    options: Omit<ConsumeOptions, 'inbox'> = {},
    open?: OpenOptions,
  ): Promise<void> {
    const queue = await this.#t.open(this.definition, open)
    const consumer = queue.consume(
      async (_body, message, tx) => {
        const { id } = message
        const beside = (this.#beside.get(id) ?? 0) + 1
        this.#beside.set(id, beside)
        this.mostBeside = Math.max(this.mostBeside, beside)
        this.started.push(id)
        this.attempts.push(message.attempt)
        const nth = this.started.filter((each) => each === id).length
        try {
          await handler(message, nth, () => this.#bed.effect(tx, this.key(id)))
        } finally {
          this.#beside.set(id, (this.#beside.get(id) ?? 1) - 1)
        }
      },
      { onError: (error) => void this.troubles.push(error), ...options, inbox },
    )
    await consumer.ready
  }

  /** Another client of the inbox of this queue. */
  inbox(name = this.definition.name): Inbox<unknown> | Promise<Inbox<unknown>> {
    return this.#bed.open(name)
  }

  /** What effects of a message are counted under. */
  key(id: string): string {
    return `${this.definition.name} ${id}`
  }

  effects(id: string): Promise<number> {
    return this.#bed.count(this.key(id))
  }

  /** Steps that ended a delivery for good, in order. */
  ends(): string[] {
    return this.#events.map(({ step }) => step).filter((step) => FINAL.includes(step))
  }

  /** Waits until so many deliveries are off the queue, whatever became of them. */
  async ended(count: number): Promise<string[]> {
    return await this.#t.until(
      `${count} messages to be settled for good`,
      () => this.ends(),
      ({ length }) => length >= count,
    )
  }
}

const FINAL: readonly string[] = ['acked', 'rejected', 'dead-lettered', 'expired']

export function bedOf(t: CaseContext): InboxBed {
  assert.ok(t.harness.inbox, 'the case needs `inbox`; it should have been skipped')
  return t.harness.inbox
}
