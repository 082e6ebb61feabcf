import type { Book } from './book.js'
import { readBook, replayHeaders } from './book.js'
import { sleep } from './clock.js'
import type { Context } from './context.js'
import { bounded } from './context.js'
import { matcher, readDeadLetter } from './dead-letter.js'
import type {
  DeadLetter,
  DeadLetterFilter,
  DeadLetters,
  ReplayOptions,
  ReplayResult,
} from './dead-letters.js'
import type { DeadReason } from './driver.js'
import { MsgloopError } from './error.js'
import { flow } from './flow.js'
import type { Held } from './held.js'
import { checkQueueName } from './names.js'
import { onlyKnown, positiveInteger } from './options.js'
import type { Queue } from './queue.js'
import { isA } from './reason.js'
import type { ResolvedQueue } from './resolved-queue.js'
import { publishStep } from './steps.js'
import { take } from './take.js'
import { wrap } from './wrap.js'

const FILTERS: readonly (keyof DeadLetterFilter)[] = ['id', 'error', 'reason', 'key', 'since', 'until']
const REPLAY: readonly (keyof ReplayOptions)[] = ['dryRun', 'limit', 'rate', 'to', 'signal']
const LIST_LIMIT = 1_000
const PAGE = 100
const CALL_MS = 30_000
/** What failed one entry so will fail the others. They are still there: replay them in another run. */
const HOPELESS: ReadonlySet<string> = new Set(['CLOSED', 'CONNECTION_LOST', 'UNREACHABLE'])

/** Lists, replays and removes the dead letters of one queue. */
export class DeadLetterShelf<T> implements DeadLetters<T> {
  readonly #context: Context
  readonly #source: ResolvedQueue<T>
  readonly #dead: ResolvedQueue<T>
  readonly #open: () => Queue<T>

  constructor(context: Context, source: ResolvedQueue<T>, dead: ResolvedQueue<T>, open: () => Queue<T>) {
    this.#context = context
    this.#source = source
    this.#dead = dead
    this.#open = open
  }

  get queue(): Queue<T> {
    return this.#open()
  }

  async *list(
    filter: DeadLetterFilter = {},
    options: { readonly limit?: number; readonly signal?: AbortSignal } = {},
  ): AsyncGenerator<DeadLetter<T>> {
    const matches = this.#matcher(filter)
    onlyKnown(`list of ${this.#at}`, options, ['limit', 'signal'])
    let left = positiveInteger(`list of ${this.#at}: option "limit"`, options.limit ?? LIST_LIMIT)
    for await (const entry of this.#look(options.signal)) {
      if (!matches(entry)) continue
      yield entry
      if (--left === 0) return
    }
  }

  async replay(filter: DeadLetterFilter = {}, options: ReplayOptions = {}): Promise<ReplayResult> {
    const matches = this.#matcher(filter)
    const at = `replay of ${this.#at}`
    onlyKnown(at, options, REPLAY)
    if (options.to !== undefined) checkQueueName(options.to)
    const limit =
      options.limit === undefined
        ? Number.POSITIVE_INFINITY
        : positiveInteger(`${at}: option "limit"`, options.limit)
    const rate =
      options.rate === undefined ? undefined : positiveInteger(`${at}: option "rate"`, options.rate)
    const tally = { replayed: 0, kept: 0, failed: 0, reasons: {} as Partial<Record<DeadReason, number>> }
    let firstFailure: unknown
    let hopeless: MsgloopError | undefined
    /** What this run moved and came back, as it failed again: it is not moved twice. */
    const moved = new Set<string>()
    const wanted = (entry: DeadLetter<T>): boolean => {
      if (!matches(entry)) return false
      tally.reasons[entry.reason] = (tally.reasons[entry.reason] ?? 0) + 1
      return entry.replays < this.#source.definition.maxReplays && tally.replayed < limit
    }
    if (options.dryRun) {
      for await (const entry of this.#look(options.signal)) {
        if (wanted(entry)) tally.replayed++
        else tally.kept++
      }
      return tally
    }
    await this.#ensure(this.#source)
    const pace = new Pace(this.#context, rate)
    await take(this.#context, this.#dead, options.signal, async (batch) => {
      const moves: Promise<void>[] = []
      for (const held of batch) {
        this.#context.assertOpen()
        if (hopeless) break
        const entry = readDeadLetter(this.#source, held.delivery)
        if (moved.has(`${entry.replays} ${entry.id}`)) continue
        // Whatever of it fails makes room for others: else entries that cannot be moved would bar the way.
        if (tally.replayed >= limit) await Promise.all(moves.splice(0))
        if (!wanted(entry)) {
          tally.kept++
          continue
        }
        if (rate !== undefined && !held.lost) await pace.next(options.signal)
        if (options.signal?.aborted) break
        tally.replayed++
        moved.add(`${entry.replays + 1} ${entry.id}`)
        const move = this.#move(held, options.to ?? entry.source).catch((error) => {
          tally.replayed--
          tally.failed++
          firstFailure ??= error
          if (isA(error, MsgloopError) && HOPELESS.has(error.code)) hopeless ??= error
        })
        moves.push(move)
      }
      await Promise.all(moves)
      if (hopeless) throw hopeless
      return tally.replayed < limit
    })
    if (tally.failed > 0 && tally.replayed === 0) throw firstFailure
    return tally
  }

  async remove(filter: DeadLetterFilter, options: { readonly signal?: AbortSignal } = {}): Promise<number> {
    const matches = this.#matcher(filter)
    if (Object.keys(filter).length === 0)
      throw new MsgloopError('INVALID', `remove from ${this.#at} needs a filter; purge() removes all`)
    let removed = 0
    await take(this.#context, this.#dead, options.signal, async (batch) => {
      const mine = batch.filter((held) => matches(readDeadLetter(this.#source, held.delivery)))
      await Promise.all(mine.map((held) => held.intake.settle(held, { kind: 'ack' })))
      removed += mine.length
      return true
    })
    return removed
  }

  purge(): Promise<number | undefined> {
    return this.#open().purge()
  }

  get #at(): string {
    return `the dead letters of queue "${this.#source.definition.name}"`
  }

  #matcher(filter: DeadLetterFilter): (entry: DeadLetter<unknown>) => boolean {
    this.#context.assertOpen()
    onlyKnown(`filter of ${this.#at}`, filter, FILTERS)
    return matcher(filter)
  }

  /** Looks without taking where the broker can; elsewhere takes, looks, and gives all back at the end. */
  async *#look(signal: AbortSignal | undefined): AsyncGenerator<DeadLetter<T>> {
    await this.#ensure(this.#dead)
    const { admin } = this.#context.driver
    if (!admin.browse) {
      const entries: DeadLetter<T>[] = []
      await take(this.#context, this.#dead, signal, async (batch) => {
        for (const held of batch) entries.push(readDeadLetter(this.#source, held.delivery))
        return true
      })
      yield* entries
      return
    }
    let cursor: string | undefined
    do {
      const from = cursor
      const page = await this.#call('browse', (abort) => {
        if (!admin.browse) throw new MsgloopError('UNSUPPORTED', `${this.#at} cannot be browsed`)
        return admin.browse(this.#dead.spec, PAGE, from, abort)
      })
      for (const delivery of page.entries) yield readDeadLetter(this.#source, delivery)
      cursor = page.cursor
    } while (cursor !== undefined && !signal?.aborted)
  }

  async #move(held: Held, to: string): Promise<void> {
    const book = readBook(held.delivery)
    const topic = this.#topicOf(to, book)
    await held.intake.settle(held, {
      kind: 'move',
      to,
      ...(topic !== undefined && { topic }),
      headers: replayHeaders(book),
    })
    if (!flow.hasSubscribers) return
    publishStep(this.#context, held.delivery.message, {
      step: 'replayed',
      queue: to,
      deliveries: held.delivery.deliveries,
      ...(book.dead && { reason: book.dead.reason }),
    })
  }

  /** Several subscriptions may share a dead-letter queue: the record says which topic the entry came from. */
  #topicOf(to: string, { dead }: Book): string | undefined {
    const { name, topic } = this.#source.definition
    if (dead && dead.source === to) return dead.topic
    return to === name ? topic : undefined
  }

  #ensure(resolved: ResolvedQueue<T>): Promise<void> {
    return this.#call('declare', () => this.#context.topology.ensure(resolved))
  }

  async #call<R>(action: string, call: (signal: AbortSignal) => Promise<R>): Promise<R> {
    try {
      return await bounded(this.#context, CALL_MS, `${action} of ${this.#at}`, undefined, call)
    } catch (error) {
      throw wrap(this.#context.driver, { action, queue: this.#dead.spec.name }, error)
    }
  }
}

/** Spreads calls evenly over each second. */
class Pace {
  readonly #context: Context
  readonly #everyMs: number
  #due = 0

  constructor(context: Context, perSecond: number | undefined) {
    this.#context = context
    this.#everyMs = perSecond === undefined ? 0 : 1_000 / perSecond
  }

  async next(signal: AbortSignal | undefined): Promise<void> {
    const now = this.#context.clock.elapsed()
    this.#due = Math.max(this.#due, now)
    const wait = this.#due - now
    this.#due += this.#everyMs
    if (wait > 0) await sleep(this.#context.clock, wait, signal)
  }
}
