import type { CancelTimer, Clock } from '../clock.js'

/** A clock that stands still until told to move. */
export interface ManualClock extends Clock {
  /**
   * Moves time forward, firing timers in the order they are due; between two of them everything that
   * was made runnable runs first, so code under test sees time pass as it would.
   */
  advance(ms: number): Promise<void>
}

/**
 * @example
 * const clock = manualClock()
 * const broker = createBroker(memory({ clock }), { clock })
 * await queue.send(reminder, { delay: '15m' })
 * await clock.advance(15 * 60_000)
 */
export function manualClock(start = Date.UTC(2026, 0, 1)): ManualClock {
  let now = start
  let sequence = 0
  const timers = new Map<number, { at: number; fn: () => void }>()

  const nextDue = (until: number): number | undefined => {
    let best: number | undefined
    for (const [id, { at }] of timers) {
      if (at > until) continue
      const bestAt = best === undefined ? Number.POSITIVE_INFINITY : (timers.get(best)?.at ?? 0)
      if (at < bestAt) best = id
    }
    return best
  }

  return {
    now: () => now,
    elapsed: () => now,
    after(ms, fn): CancelTimer {
      const id = ++sequence
      timers.set(id, { at: now + Math.max(0, ms), fn })
      return () => timers.delete(id)
    },
    async advance(ms) {
      const until = now + ms
      await settled()
      for (let id = nextDue(until); id !== undefined; id = nextDue(until)) {
        const timer = timers.get(id)
        timers.delete(id)
        if (!timer) continue
        now = Math.max(now, timer.at)
        timer.fn()
        await settled()
      }
      now = until
    },
  }
}

/** Resolves when what promises and immediates had made runnable has run. */
async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
}
