import { browse } from './browse-dead-letters.js'
import { sleep } from './clock.js'
import type { Context } from './context.js'
import { bounded } from './context.js'
import type { CanaryResult } from './dead-letters.js'
import type { QueueSpec } from './driver.js'
import { MsgloopError } from './error.js'
import { receiptsName } from './receipt.js'
import type { ResolvedQueue } from './resolved-queue.js'
import { besideDeadLetters } from './resolved-queue.js'
import { take } from './take.js'
import { wrap } from './wrap.js'

/** Receipts of a replay that was killed; whoever replays next deletes them with their queue. */
const RECEIPTS_KEPT_MS = 86_400_000
const FIRST_LOOK_MS = 100
/** Where looking means taking, others see fewer entries meanwhile: not too often. */
const LONGEST_PAUSE_MS = 2_000
const CALL_MS = 10_000

/** Waits until each message of a canary was handled, for which there is a receipt, or is a dead letter again. */
export class Canary<T> {
  readonly #context: Context
  readonly #source: ResolvedQueue<T>
  readonly #dead: ResolvedQueue<T, QueueSpec>
  readonly #receipts: ResolvedQueue<T, QueueSpec>
  /** By id, how often the message was replayed, this time included. */
  readonly #waiting = new Map<string, number>()
  #replayed = 0
  #handled = 0
  #died = 0

  constructor(context: Context, source: ResolvedQueue<T>, dead: ResolvedQueue<T, QueueSpec>) {
    this.#context = context
    this.#source = source
    this.#dead = dead
    this.#receipts = besideDeadLetters(dead, receiptsName(source.definition.deadLetter), RECEIPTS_KEPT_MS)
  }

  /**
   * Before the first message of the canary is replayed: a receipt that finds no queue is no receipt. It is made
   * whatever the broker's `topology` is: it is no part of the application's, and is deleted again.
   */
  async open(): Promise<void> {
    const { driver } = this.#context
    const { spec } = this.#receipts
    try {
      await bounded(this.#context, CALL_MS, `declaring queue "${spec.name}"`, undefined, (signal) =>
        driver.admin.declare(spec, signal),
      )
    } catch (error) {
      throw wrap(driver, { action: 'declare', queue: spec.name }, error)
    }
  }

  replaying(id: string, replays: number): void {
    this.#waiting.set(id, replays)
    this.#replayed++
  }

  /** It was not replayed after all. */
  stayed(id: string): void {
    if (this.#waiting.delete(id)) this.#replayed--
  }

  async outcome(failures: number, waitMs: number, signal: AbortSignal | undefined): Promise<CanaryResult> {
    const { clock } = this.#context
    const deadline = clock.elapsed() + waitMs
    for (let pause = FIRST_LOOK_MS; this.#waiting.size > 0 && !signal?.aborted; pause *= 2) {
      const last = clock.elapsed() >= deadline
      await this.#readReceipts(signal)
      if (this.#waiting.size > 0) await this.#readDeadLetters(signal)
      if (last || this.#waiting.size === 0 || this.#died > failures) break
      const left = deadline - clock.elapsed()
      await sleep(clock, Math.max(0, Math.min(pause, LONGEST_PAUSE_MS, left)), signal)
    }
    const unknown = this.#waiting.size
    return {
      replayed: this.#replayed,
      handled: this.#handled,
      died: this.#died,
      unknown,
      passed: this.#died + unknown <= failures && !signal?.aborted,
    }
  }

  /** A receipt that comes later finds no queue any more, and its message is acked. */
  async close(): Promise<void> {
    const { driver, topology } = this.#context
    topology.forget(this.#receipts.spec)
    await bounded(this.#context, CALL_MS, 'deleting the receipts of a canary', undefined, (signal) =>
      driver.admin.delete(this.#receipts.spec, signal),
    ).catch(() => {})
  }

  async #readReceipts(signal: AbortSignal | undefined): Promise<void> {
    try {
      await take(this.#context, this.#receipts, signal, async (batch) => {
        const mine = batch.filter(({ delivery }) => this.#waiting.delete(delivery.message.id))
        this.#handled += mine.length
        await Promise.all(mine.map((held) => held.intake.settle(held, { kind: 'ack' })))
        return this.#waiting.size > 0
      })
    } catch (error) {
      // Another replay of this queue has ended, and has deleted it.
      if (!(error instanceof MsgloopError && error.code === 'NOT_FOUND')) throw error
      await this.open()
    }
  }

  async #readDeadLetters(signal: AbortSignal | undefined): Promise<void> {
    const again = browse(this.#context, {
      source: this.#source,
      dead: this.#dead,
      matches: ({ id, replays }) => replays >= (this.#waiting.get(id) ?? Number.POSITIVE_INFINITY),
      limit: this.#waiting.size,
      cursor: undefined,
      signal,
    })
    for await (const { entries } of again)
      for (const { id } of entries) if (this.#waiting.delete(id)) this.#died++
  }
}
