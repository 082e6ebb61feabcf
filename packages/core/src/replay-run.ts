import type { Book } from './book.js'
import { deadHeaders, readBook, replayHeaders } from './book.js'
import { browse } from './browse-dead-letters.js'
import { Canary } from './canary.js'
import type { Context } from './context.js'
import { readDeadLetter } from './dead-letter.js'
import type { DeadLetter, ReplayProgress, ReplayResult } from './dead-letters.js'
import type { QueueSpec } from './driver.js'
import { MsgloopError } from './error.js'
import { flow } from './flow.js'
import type { Held } from './held.js'
import { Pace } from './pace.js'
import { isA } from './reason.js'
import type { ReplayPlan } from './replay-options.js'
import { ReplayTally } from './replay-tally.js'
import type { ResolvedQueue } from './resolved-queue.js'
import { publishStep } from './steps.js'
import { take } from './take.js'

/** What failed one entry so will fail the others. They are still there: replay them in another run. */
const HOPELESS: ReadonlySet<string> = new Set(['CLOSED', 'CONNECTION_LOST', 'UNREACHABLE'])

export interface ReplayParts<T> {
  readonly source: ResolvedQueue<T>
  readonly dead: ResolvedQueue<T, QueueSpec>
  /** Where entries go that were replayed too often; absent when they are replayed all the same. */
  readonly quarantine: ResolvedQueue<T, QueueSpec> | undefined
}

/**
 * One replay. Every entry is stored where it goes before it leaves the dead-letter queue, so it can be broken off
 * anywhere; what is left is for the next run.
 */
export class ReplayRun<T> {
  readonly #context: Context
  readonly #parts: ReplayParts<T>
  readonly #matches: (entry: DeadLetter<T>) => boolean
  readonly #plan: ReplayPlan
  readonly #tally = new ReplayTally()
  readonly #pace: Pace
  /** What this run has moved and came back, as it failed again, and what would not go: neither is tried twice. */
  readonly #done = new Set<string>()
  #firstFailure: unknown
  #hopeless: MsgloopError | undefined

  constructor(
    context: Context,
    parts: ReplayParts<T>,
    matches: (entry: DeadLetter<T>) => boolean,
    plan: ReplayPlan,
  ) {
    this.#context = context
    this.#parts = parts
    this.#matches = matches
    this.#plan = plan
    this.#pace = new Pace(context.clock, plan.rate)
  }

  async dryRun(): Promise<ReplayResult> {
    const { source, dead } = this.#parts
    const { limit, signal } = this.#plan
    const tally = this.#tally
    const everything = { source, dead, matches: () => true, limit: Number.POSITIVE_INFINITY }
    for await (const { entries } of browse(this.#context, { ...everything, cursor: undefined, signal }))
      for (const entry of entries) {
        if (!this.#matches(entry)) tally.kept++
        else {
          if (this.#isWorn(entry)) tally.quarantined++
          else if (tally.replayed === limit) return tally.result()
          else tally.replayed++
          tally.matched(entry)
        }
      }
    return tally.result()
  }

  async run(): Promise<ReplayResult> {
    const { limit, canary, signal } = this.#plan
    const tally = this.#tally
    await this.#context.topology.ensure(this.#parts.source)
    if (canary) {
      tally.canary = await this.#runCanary(canary)
      if (!tally.canary.passed) return tally.result()
      tally.kept = 0
    }
    if (tally.replayed < limit && !signal?.aborted) await this.#pass('replay', limit)
    if (tally.failed > 0 && tally.replayed + tally.quarantined === 0) throw this.#firstFailure
    return tally.result()
  }

  async #runCanary({ count, failures, waitMs }: NonNullable<ReplayPlan['canary']>) {
    const { source, dead } = this.#parts
    const { limit, signal } = this.#plan
    const canary = new Canary(this.#context, source, dead)
    await canary.open()
    try {
      await this.#pass('canary', Math.min(count, limit), canary)
      this.#tell('waiting')
      return await canary.outcome(failures, waitMs, signal)
    } finally {
      await canary.close()
    }
  }

  async #pass(phase: ReplayProgress['phase'], limit: number, canary?: Canary<T>): Promise<void> {
    const { signal } = this.#plan
    const tally = this.#tally
    await take(this.#context, this.#parts.dead, signal, async (batch) => {
      const moves: Promise<void>[] = []
      for (const held of batch) {
        this.#context.assertOpen()
        if (this.#hopeless) break
        const book = readBook(held.delivery)
        const entry = readDeadLetter(this.#parts.source, held.delivery)
        if (this.#done.has(keyOf(entry))) continue
        if (!this.#matches(entry)) {
          tally.kept++
          continue
        }
        const worn = this.#isWorn(entry)
        // Whatever of it fails makes room for others: else entries that cannot be moved would bar the way.
        if (!worn && tally.replayed >= limit) await Promise.all(moves.splice(0))
        if (!worn && tally.replayed >= limit) break
        if (!worn && !held.lost) await this.#pace.next(signal)
        if (signal?.aborted) break
        tally.matched(entry)
        moves.push(worn ? this.#quarantine(held, book, entry) : this.#replay(held, book, entry, canary))
        if (this.#plan.rate !== undefined) this.#tell(phase)
      }
      await Promise.all(moves)
      this.#tell(phase)
      if (this.#hopeless) throw this.#hopeless
      return tally.replayed < limit
    })
  }

  #isWorn({ replays }: DeadLetter<T>): boolean {
    return this.#parts.quarantine !== undefined && replays >= this.#parts.source.definition.maxReplays
  }

  async #replay(held: Held, book: Book, entry: DeadLetter<T>, canary: Canary<T> | undefined): Promise<void> {
    const to = this.#plan.to ?? entry.source
    this.#tally.replayed++
    this.#done.add(keyOf({ id: entry.id, replays: entry.replays + 1 }))
    canary?.replaying(entry.id, entry.replays + 1)
    try {
      const headers = replayHeaders(book, canary !== undefined)
      const topic = this.#topicOf(to, book)
      await held.intake.settle(held, { kind: 'move', to, ...(topic !== undefined && { topic }), headers })
      this.#publish(held, to, book)
    } catch (error) {
      this.#tally.replayed--
      canary?.stayed(entry.id)
      this.#failed(entry, error)
    }
  }

  /** Several subscriptions may share a dead-letter queue: the record says which topic the entry came from. */
  #topicOf(to: string, { dead }: Book): string | undefined {
    const { name, topic } = this.#parts.source.definition
    if (dead && dead.source === to) return dead.topic
    return to === name ? topic : undefined
  }

  async #quarantine(held: Held, book: Book, entry: DeadLetter<T>): Promise<void> {
    const { quarantine } = this.#parts
    if (!quarantine) return
    try {
      await this.#context.topology.own(quarantine)
      // What the broker itself dead-lettered has no record yet, and the quarantine would not know why.
      const { reason, source, deliveries } = entry
      const at = entry.deadAt?.getTime() ?? this.#context.clock.now()
      const headers = deadHeaders(book, book.dead ?? { reason, source, deliveries, at })
      await held.intake.settle(held, { kind: 'move', to: quarantine.spec.name, headers })
      this.#tally.quarantined++
    } catch (error) {
      this.#failed(entry, error)
    }
  }

  #failed(entry: DeadLetter<T>, error: unknown): void {
    this.#done.add(keyOf(entry))
    this.#tally.failed++
    this.#firstFailure ??= error
    if (isA(error, MsgloopError) && HOPELESS.has(error.code)) this.#hopeless ??= error
  }

  #publish(held: Held, queue: string, book: Book): void {
    if (!flow.hasSubscribers) return
    publishStep(this.#context, held.delivery.message, {
      step: 'replayed',
      queue,
      deliveries: held.delivery.deliveries,
      ...(book.dead && { reason: book.dead.reason }),
    })
  }

  #tell(phase: ReplayProgress['phase']): void {
    this.#plan.onProgress?.(this.#tally.progress(phase))
  }
}

function keyOf({ id, replays }: Pick<DeadLetter<unknown>, 'id' | 'replays'>): string {
  return `${replays} ${id}`
}
