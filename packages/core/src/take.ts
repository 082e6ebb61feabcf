import { reconnectDelayMs } from './backoff.js'
import { sleep } from './clock.js'
import type { Context } from './context.js'
import { bounded } from './context.js'
import { MsgloopError } from './error.js'
import type { Held } from './held.js'
import type { IntakeOptions } from './intake.js'
import { Intake } from './intake.js'
import type { ResolvedQueue } from './resolved-queue.js'
import { stopController } from './stop-signal.js'
import { wrap } from './wrap.js'

/** Entries one receiver holds at most: quorum queues give no consumer more than 2000. */
const WINDOW = 1_000
/** A queue that gives nothing for this long is seen through, where its count cannot be relied on. */
const QUIET_MS = 500
const COUNT_MS = 30_000
const TRIES = 4

/**
 * Takes every message that is in a queue now, once, and hands them to `see` in batches, in order. What
 * `see` does not settle goes back at the end, in the same order, and also when the process dies: nothing
 * can be lost by looking. Ends early when `see` resolves with false or `signal` aborts.
 */
export async function take(
  context: Context,
  resolved: ResolvedQueue<unknown>,
  signal: AbortSignal | undefined,
  see: (batch: readonly Held[]) => Promise<boolean>,
): Promise<void> {
  const { definition, maxLeaseMs } = resolved
  const { receiveBatch, leaseMs } = context.driver.capabilities.limits
  const options = {
    prefetch: WINDOW,
    leaseMs: Math.min(definition.leaseMs, leaseMs),
    maxLeaseMs,
    consumer: 'dead-letters',
  }
  const stop = signal ?? stopController().signal
  const intakes: Intake[] = []
  let left = await count(context, resolved)
  try {
    while (left > 0 && !stop.aborted) {
      const intake = await open(context, resolved, options, stop)
      intakes.push(intake)
      while (left > 0 && !stop.aborted && intake.held.size < WINDOW) {
        const max = Math.min(receiveBatch, left, WINDOW - intake.held.size)
        const batch = await intake.receive(max, QUIET_MS, stop)
        if (batch.length === 0) return
        left -= batch.length
        if (!(await see(batch))) return
      }
    }
  } finally {
    await giveBack(context, intakes)
  }
}

/** A queue that was made a moment ago may cost the connection on RabbitMQ 3.10, and be there at the next try. */
async function open(
  context: Context,
  resolved: ResolvedQueue<unknown>,
  options: IntakeOptions,
  stop: AbortSignal,
): Promise<Intake> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await Intake.open(context, resolved, options, stop)
    } catch (error) {
      const lost = error instanceof MsgloopError && error.code === 'CONNECTION_LOST'
      if (!lost || attempt === TRIES || stop.aborted) throw error
      await sleep(context.clock, reconnectDelayMs(attempt, context.random), stop)
    }
  }
}

/** Everything goes back in the order it came: an unordered return would reorder the queue. */
async function giveBack(context: Context, intakes: readonly Intake[]): Promise<void> {
  for (const intake of intakes) {
    if (context.driver.capabilities.lease === 'renewable') {
      await intake.stop()
      const held = [...intake.held]
      await Promise.allSettled(held.map((each) => intake.settle(each, { kind: 'release' })))
    }
    await intake.close()
  }
}

/** How many there are, where the broker's count is exact; elsewhere no bound. */
async function count(context: Context, resolved: ResolvedQueue<unknown>): Promise<number> {
  const { driver, topology } = context
  const { spec } = resolved
  try {
    return await bounded(context, COUNT_MS, `counting queue "${spec.name}"`, undefined, async (signal) => {
      await topology.ensure(resolved)
      if (driver.capabilities.browse !== 'free') return Number.POSITIVE_INFINITY
      return (await driver.admin.stats(spec, signal)).ready ?? Number.POSITIVE_INFINITY
    })
  } catch (error) {
    throw wrap(driver, { action: 'count', queue: spec.name }, error)
  }
}
