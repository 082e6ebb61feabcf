import type { Context } from './context.js'
import { bounded } from './context.js'
import { readDeadLetter } from './dead-letter.js'
import type { DeadLetter } from './dead-letters.js'
import type { Delivery } from './driver.js'
import type { ResolvedQueue } from './resolved-queue.js'
import { take } from './take.js'
import { wrap } from './wrap.js'

const PAGE = 100
const CALL_MS = 30_000

export interface Browsing<T> {
  readonly source: ResolvedQueue<T>
  readonly dead: ResolvedQueue<T>
  readonly matches: (entry: DeadLetter<T>) => boolean
  readonly limit: number
  readonly cursor: string | undefined
  readonly signal: AbortSignal | undefined
}

/**
 * Looks at the matching entries, oldest first: without taking where the broker can; elsewhere takes, looks, and
 * gives all back in the end. What comes with a batch of entries is where the look may go on.
 */
export async function* browse<T>(
  context: Context,
  looking: Browsing<T>,
): AsyncGenerator<{ readonly entries: readonly DeadLetter<T>[]; readonly cursor: string | undefined }> {
  const { source, dead, matches, limit, signal } = looking
  const { admin } = context.driver
  const look = admin.browse?.bind(admin)
  const select = (batch: readonly Delivery[]): DeadLetter<T>[] =>
    batch.map((delivery) => readDeadLetter(source, delivery)).filter(matches)
  if (!look) {
    const entries: DeadLetter<T>[] = []
    await take(context, dead, signal, async (batch) => {
      entries.push(...select(batch.map(({ delivery }) => delivery)))
      return entries.length < limit
    })
    yield { entries: entries.slice(0, limit), cursor: undefined }
    return
  }
  await context.topology.ensure(dead)
  let { cursor } = looking
  let left = limit
  do {
    const from = cursor
    const count = Math.min(PAGE, left)
    const page = await call(context, dead.spec.name, (abort) => look(dead.spec, count, from, abort))
    cursor = page.cursor
    const entries = select(page.entries)
    left -= entries.length
    yield { entries, cursor }
  } while (left > 0 && cursor !== undefined && !signal?.aborted)
}

async function call<R>(
  context: Context,
  queue: string,
  action: (signal: AbortSignal) => Promise<R>,
): Promise<R> {
  try {
    return await bounded(context, CALL_MS, `browsing queue "${queue}"`, undefined, action)
  } catch (error) {
    throw wrap(context.driver, { action: 'browse', queue }, error)
  }
}
