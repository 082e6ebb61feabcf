import { systemClock } from '@msgloop/core/driver'
import type { Outlet } from './outlets.js'
import type { Session } from './session.js'

/** The server's time, as text, at some moment while this was under way. */
export type Sample = () => Promise<string>

/** Later than this before it is due, a message is held back again; what we know of the server's clock is as exact. */
export const EARLY_MS = 50
/** After this long the clocks may have drifted apart. */
const FRESH_MS = 10 * 60_000
/** A sample this quick is good enough. */
const QUICK_MS = 20
const TRIES = 3

interface Bounds {
  readonly takenAt: number
  /** What to add to this process's elapsed time to be at, or before, the server's time; and at, or after it. */
  readonly earliest: number
  readonly latest: number
}

/**
 * What time it is at the server. Delays run from when the server stored a message, so that the clocks of
 * sender and receiver do not matter.
 */
export class ServerClock {
  readonly #sample: Sample
  #bounds: Promise<Bounds> | undefined
  #takenAt = Number.NEGATIVE_INFINITY

  /** Of the server that has just handed over a message of this outlet. */
  static of(session: Session, { stream, consumer }: Outlet): ServerClock {
    return new ServerClock(async () => {
      const info = await session.api((manager) => manager.consumers.info(stream, consumer))
      // Servers before 2.10 do not tell the time, but when they last handed over a message: just now.
      return String(info.ts ?? info.delivered.last_active)
    })
  }

  constructor(sample: Sample) {
    this.#sample = sample
  }

  /** Epoch ms between which the server's time is now. */
  async now(): Promise<{ readonly earliest: number; readonly latest: number }> {
    if (systemClock.elapsed() - this.#takenAt > FRESH_MS) {
      this.#takenAt = systemClock.elapsed()
      this.#bounds = this.#measure()
    }
    const bounds = await this.#bounds
    const now = systemClock.elapsed()
    if (!bounds) return { earliest: systemClock.now(), latest: systemClock.now() }
    return { earliest: now + bounds.earliest, latest: now + bounds.latest }
  }

  async #measure(): Promise<Bounds> {
    let best: Bounds | undefined
    for (let tries = 0; tries < TRIES; tries++) {
      const before = systemClock.elapsed()
      const text = await this.#sample().catch(() => '')
      const after = systemClock.elapsed()
      // Nothing better to go by than that the clocks agree.
      const time = Date.parse(text) || systemClock.now()
      if (!best || after - before < best.latest - best.earliest)
        best = { takenAt: before, earliest: time - after, latest: time - before }
      if (best.latest - best.earliest <= QUICK_MS) break
    }
    return best ?? { takenAt: 0, earliest: 0, latest: 0 }
  }
}
