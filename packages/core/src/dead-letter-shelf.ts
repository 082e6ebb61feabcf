import { browse } from './browse-dead-letters.js'
import type { Context } from './context.js'
import { readDeadLetter } from './dead-letter.js'
import { matcher } from './dead-letter-filter.js'
import type {
  DeadLetter,
  DeadLetterEdit,
  DeadLetterFilter,
  DeadLetterPage,
  DeadLetters,
  ListOptions,
  PageOptions,
  ReplayOptions,
  ReplayResult,
} from './dead-letters.js'
import type { QueueSpec } from './driver.js'
import { editDeadLetter } from './edit-dead-letter.js'
import { MsgloopError } from './error.js'
import { onlyKnown, positiveInteger } from './options.js'
import type { Queue } from './queue.js'
import { planReplay } from './replay-options.js'
import { ReplayRun } from './replay-run.js'
import type { ResolvedQueue } from './resolved-queue.js'
import { take } from './take.js'

const LIST_LIMIT = 1_000
const PAGE_SIZE = 100

/** The queues of one shelf: `dead` is the dead-letter queue of `source`, or the quarantine beside it. */
export interface ShelfParts<T> {
  readonly source: ResolvedQueue<T>
  readonly dead: ResolvedQueue<T, QueueSpec>
  readonly quarantine: ResolvedQueue<T, QueueSpec>
  readonly open: (beside: ResolvedQueue<T, QueueSpec>) => Queue<T>
}

/** Lists, replays, edits and removes the dead letters of one queue. */
export class DeadLetterShelf<T> implements DeadLetters<T> {
  readonly #context: Context
  readonly #parts: ShelfParts<T>

  constructor(context: Context, parts: ShelfParts<T>) {
    this.#context = context
    this.#parts = parts
  }

  get queue(): Queue<T> {
    return this.#parts.open(this.#parts.dead)
  }

  get quarantine(): DeadLetters<T> {
    return this.#parts.open(this.#parts.quarantine).deadLetters
  }

  async *list(filter: DeadLetterFilter = {}, options: ListOptions = {}): AsyncGenerator<DeadLetter<T>> {
    const matches = this.#matcher(filter)
    const { source, dead } = this.#parts
    const { signal } = options
    onlyKnown(`list of ${this.#at}`, options, ['limit', 'signal'])
    const limit = positiveInteger(`list of ${this.#at}: option "limit"`, options.limit ?? LIST_LIMIT)
    const pages = browse(this.#context, { source, dead, matches, limit, cursor: undefined, signal })
    for await (const { entries } of pages) yield* entries
  }

  async page(filter: DeadLetterFilter = {}, options: PageOptions = {}): Promise<DeadLetterPage<T>> {
    const matches = this.#matcher(filter)
    const { source, dead } = this.#parts
    const { driver } = this.#context
    const at = `page of ${this.#at}`
    onlyKnown(at, options, ['size', 'cursor', 'signal'])
    const limit = positiveInteger(`${at}: option "size"`, options.size ?? PAGE_SIZE)
    if (options.cursor !== undefined && driver.capabilities.browse !== 'free')
      throw new MsgloopError(
        'UNSUPPORTED',
        `${at}: option "cursor" needs a broker that can look without taking, which ${driver.name} cannot`,
      )
    const found: DeadLetter<T>[] = []
    let next: string | undefined
    const { cursor, signal } = options
    for await (const each of browse(this.#context, { source, dead, matches, limit, cursor, signal })) {
      found.push(...each.entries)
      next = each.cursor
    }
    return { entries: found, ...(next !== undefined && { cursor: next }) }
  }

  async replay(filter: DeadLetterFilter = {}, options: ReplayOptions = {}): Promise<ReplayResult> {
    const matches = this.#matcher(filter)
    const plan = planReplay(`replay of ${this.#at}`, options)
    const { source, dead, quarantine } = this.#parts
    const run = new ReplayRun(
      this.#context,
      { source, dead, quarantine: dead === quarantine ? undefined : quarantine },
      matches,
      plan,
    )
    return plan.dryRun ? await run.dryRun() : await run.run()
  }

  async edit(
    id: string,
    change: DeadLetterEdit<T>,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<string> {
    this.#context.assertSending()
    onlyKnown(`edit of ${this.#at}`, options, ['signal'])
    const { source, dead } = this.#parts
    return await editDeadLetter(this.#context, { source, dead, id, change, signal: options.signal })
  }

  async remove(
    which: DeadLetterFilter | readonly DeadLetter<T>[],
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<number> {
    const { source, dead } = this.#parts
    const matches = this.#removable(which)
    let removed = 0
    await take(this.#context, dead, options.signal, async (batch) => {
      const mine = batch.filter((held) => matches(readDeadLetter(source, held.delivery)))
      await Promise.all(mine.map((held) => held.intake.settle(held, { kind: 'ack' })))
      removed += mine.length
      return true
    })
    return removed
  }

  purge(): Promise<number | undefined> {
    return this.queue.purge()
  }

  get #at(): string {
    const { source, dead, quarantine } = this.#parts
    return `the ${dead === quarantine ? 'quarantine' : 'dead letters'} of queue "${source.definition.name}"`
  }

  #matcher(filter: DeadLetterFilter): (entry: DeadLetter<T>) => boolean {
    this.#context.assertOpen()
    return matcher(this.#at, filter)
  }

  #removable(which: DeadLetterFilter | readonly DeadLetter<T>[]): (entry: DeadLetter<T>) => boolean {
    if (Array.isArray(which)) {
      this.#context.assertOpen()
      const shown = new Set(which.map(versionOf))
      return (entry) => shown.has(versionOf(entry))
    }
    const matches = this.#matcher(which as DeadLetterFilter)
    if (Object.values(which).some((condition) => condition !== undefined)) return matches
    throw new MsgloopError('INVALID', `remove from ${this.#at} needs a filter; purge() removes all`)
  }
}

/** Tells an entry from one of the same message that came later. */
function versionOf({ id, replays, deadAt }: DeadLetter<unknown>): string {
  return `${replays} ${deadAt?.getTime() ?? ''} ${id}`
}
