import type { Context } from './context.js'
import { bounded } from './context.js'
import type { Held } from './held.js'
import { Intake } from './intake.js'
import type { ResolvedQueue } from './resolved-queue.js'
import { wrap } from './wrap.js'

/** Entries one receiver holds at most: quorum queues give no consumer more than 2000. */
const WINDOW = 1_000
/** A queue that gives nothing for this long is taken to be seen through. */
const QUIET_MS = 500
const CALL_MS = 30_000

/**
 * Takes every message that is in a queue now, once, and hands them to `see` in batches. What `see` does
 * not settle goes back at the end, and when the process dies: nothing can be lost by looking.
 * Ends early when `see` returns false or `signal` aborts.
 */
export async function take(
  context: Context,
  resolved: ResolvedQueue<unknown>,
  signal: AbortSignal | undefined,
  see: (batch: readonly Held[]) => Promise<boolean>,
): Promise<void> {
  const { definition, spec, maxLeaseMs } = resolved
  const { receiveBatch, leaseMs } = context.driver.capabilities.limits
  const never = new AbortController().signal
  const intakes: Intake[] = []
  let left = await countReady(context, resolved)
  try {
    while (left > 0 && !signal?.aborted) {
      const options = {
        prefetch: WINDOW,
        leaseMs: Math.min(definition.leaseMs, leaseMs),
        maxLeaseMs,
        consumer: 'dead-letters',
      }
      const intake = await Intake.open(context, resolved, options, signal)
      intakes.push(intake)
      while (left > 0 && intake.held.size < WINDOW) {
        const max = Math.min(receiveBatch, left, WINDOW - intake.held.size)
        const batch = await intake.receive(max, QUIET_MS, signal ?? never)
        left = batch.length === 0 ? 0 : left - batch.length
        if (batch.length > 0 && !(await see(batch))) return
        if (signal?.aborted) return
      }
      // What it fetched ahead must go to the next one.
      await intake.stop()
    }
  } finally {
    await Promise.all(intakes.map((intake) => intake.close()))
  }

  async function countReady(from: Context, { spec: source }: ResolvedQueue<unknown>): Promise<number> {
    try {
      const stats = await bounded(from, CALL_MS, `counting queue "${spec.name}"`, signal, async (abort) => {
        await from.topology.ensure(resolved, abort)
        return await from.driver.admin.stats(source, abort)
      })
      return stats.ready ?? Number.POSITIVE_INFINITY
    } catch (error) {
      throw wrap(from.driver, { action: 'count', queue: spec.name }, error)
    }
  }
}
