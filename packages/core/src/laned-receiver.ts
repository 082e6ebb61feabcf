import type { Clock } from './clock.js'
import type { Delivery, Driver, Failure, QueueSpec, Receiver, ReceiverOptions } from './driver.js'
import { LANES } from './lanes.js'
import { splitByLane } from './split-by-lane.js'

/** While all lanes are empty and there are fewer slots than lanes, each is waited at for so long. */
const SLICE_MS = 250

/** A look that takes longer is not made all the time. */
const QUICK_MS = 100

interface LaneToken {
  readonly lane: number
  readonly token: unknown
}

/** One receiver per lane, highest first. */
export async function openLanedReceiver(
  driver: Driver,
  lanes: readonly QueueSpec[],
  options: ReceiverOptions,
  clock: Clock,
  signal: AbortSignal,
): Promise<Receiver<LaneToken>> {
  let lost = false
  const onLost = (error: unknown): void => {
    if (lost) return
    lost = true
    options.onLost(error)
  }
  const opened = await Promise.allSettled(
    lanes.map((lane) => driver.openReceiver(lane, { ...options, onLost }, signal)),
  )
  const receivers = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  const failed = opened.find((each) => each.status === 'rejected')
  if (!failed) return new LanedReceiver(receivers, clock)
  await Promise.all(receivers.map((receiver) => receiver.close().catch(() => {})))
  throw failed.reason
}

/** Takes from the highest lane that has messages, and from the next only what that leaves room for. */
class LanedReceiver implements Receiver<LaneToken> {
  /** Only declared, so that it is absent where leases cannot be renewed. */
  declare readonly extend?: (tokens: readonly LaneToken[], leaseMs: number) => Promise<readonly Failure[]>
  readonly #receivers: readonly Receiver[]
  readonly #clock: Clock
  /**
   * When to look into a lane again that was found empty. Where looking is quick that is always; where it takes a
   * second (SQS), after as long as the look took, so that half of the time is left for the other lanes.
   */
  readonly #lookAgainAt = LANES.map(() => 0)
  /** What a lane failed with while others gave something: told by the next `receive`. */
  #failure: { readonly error: unknown } | undefined

  constructor(receivers: readonly Receiver[], clock: Clock) {
    this.#receivers = receivers
    this.#clock = clock
    if (receivers.every((receiver) => receiver.extend))
      this.extend = (tokens, leaseMs) =>
        splitByLane(
          tokens,
          ({ lane }) => lane,
          async (part, lane) =>
            (await receivers[lane]?.extend?.(
              part.map(({ token }) => token),
              leaseMs,
            )) ?? [],
        )
  }

  async receive(max: number, waitMs: number, signal: AbortSignal): Promise<readonly Delivery<LaneToken>[]> {
    const until = this.#clock.elapsed() + waitMs
    for (let wait = 0; ; wait = until - this.#clock.elapsed()) {
      if (this.#failure) {
        const { error } = this.#failure
        this.#failure = undefined
        throw error
      }
      const taken = wait > 0 ? await this.#wait(max, wait, signal) : await this.#look(max, signal)
      if (taken.length > 0) return taken
      if (signal.aborted || (!this.#failure && this.#clock.elapsed() >= until)) return []
    }
  }

  async settle(
    batch: Parameters<Receiver<LaneToken>['settle']>[0],
    signal?: AbortSignal,
  ): Promise<readonly Failure[]> {
    return await splitByLane(
      batch,
      ({ token }) => token.lane,
      async (part, lane) =>
        (await this.#receivers[lane]?.settle(
          part.map(({ token: { token }, verdict }) => ({ token, verdict })),
          signal,
        )) ?? [],
    )
  }

  async stop(): Promise<void> {
    await Promise.all(this.#receivers.map((receiver) => receiver.stop()))
  }

  async close(): Promise<void> {
    await Promise.all(this.#receivers.map((receiver) => receiver.close()))
  }

  /** One lane after the other, highest first, without waiting. */
  async #look(max: number, signal: AbortSignal): Promise<Delivery<LaneToken>[]> {
    const taken: Delivery<LaneToken>[] = []
    for (const lane of LANES.keys()) {
      if (taken.length >= max || signal.aborted) break
      const begun = this.#clock.elapsed()
      if (begun < (this.#lookAgainAt[lane] ?? 0)) continue
      const found = await this.#take(lane, max - taken.length, 0, signal)
      const now = this.#clock.elapsed()
      if (found.length === 0 && now - begun > QUICK_MS) this.#lookAgainAt[lane] = now + (now - begun)
      taken.push(...found)
    }
    return taken
  }

  /**
   * Nothing anywhere: waits at all lanes at once, each with a share of the slots, so that not more can come than
   * there are; or, with fewer slots than lanes, at one after the other.
   */
  async #wait(max: number, waitMs: number, signal: AbortSignal): Promise<Delivery<LaneToken>[]> {
    this.#lookAgainAt.fill(0)
    if (max < LANES.length) {
      for (const lane of LANES.keys()) {
        const taken = await this.#take(lane, max, Math.min(SLICE_MS, waitMs), signal)
        if (taken.length > 0 || signal.aborted) return taken
      }
      return []
    }
    const over = new AbortController()
    const stop = (): void => over.abort()
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    try {
      const taken = await Promise.all(
        [...LANES.keys()].map(async (lane) => {
          const share = lane === 0 ? max - LANES.length + 1 : 1
          const found = await this.#take(lane, share, waitMs, over.signal)
          if (found.length > 0 || this.#failure) stop()
          return found
        }),
      )
      return taken.flat()
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }

  async #take(
    lane: number,
    max: number,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<Delivery<LaneToken>[]> {
    try {
      const deliveries = (await this.#receivers[lane]?.receive(max, waitMs, signal)) ?? []
      return deliveries.map((delivery) => ({
        ...delivery,
        token: { lane, token: delivery.token },
        // What a foreign client puts into a lane need not say so.
        message: { ...delivery.message, lane: LANES[lane] },
      }))
    } catch (error) {
      this.#failure ??= { error }
      return []
    }
  }
}
