import type { CancelTimer, Clock } from './clock.js'
import { Fifo } from './fifo.js'
import type { Held } from './held.js'

/**
 * How many retries a process waits for, where the broker cannot: more of them, and the queue stands still here.
 * Their bodies are kept.
 */
const MOST_WAITING = 256

/** How much may be held beyond slots and prefetch, behind others of its key or waiting for a retry, so that other keys go on. */
export function spare(order: 'none' | 'key', retriesHere: boolean, concurrency: number): number {
  if (order === 'none') return 0
  return retriesHere ? Math.max(MOST_WAITING, concurrency) : concurrency
}

/** The deliveries of one key. Its head is ready, running or waiting for its retry. */
interface Line {
  head: Held
  behind: Held[]
}

/**
 * Deliveries that were received and not yet started, and which of them may start. Where the queue has order by
 * key, those of one key go one after the other: the next when the one before is settled.
 */
export class Turns {
  readonly #clock: Clock
  readonly #byKey: boolean
  readonly #onReady: () => void
  readonly #ready = new Fifo<Held>()
  readonly #lines = new Map<string, Line>()
  readonly #waiting = new Map<Held, CancelTimer>()
  /** Keys whose head went back while a `receive` was under way, with the id of that head. */
  readonly #broken = new Map<string, string>()

  /** `onReady` is called when a delivery has waited for its retry. */
  constructor(clock: Clock, byKey: boolean, onReady: () => void) {
    this.#clock = clock
    this.#byKey = byKey
    this.#onReady = onReady
  }

  /** How many may start. */
  get ready(): number {
    return this.#ready.size
  }

  /** A `receive` begins: from now on nothing is handed over out of turn. */
  receiving(): void {
    this.#broken.clear()
  }

  /**
   * What that `receive` came to. Returns what was handed over before the head of its key went back: it must go
   * back too, in that order.
   */
  add(batch: readonly Held[]): Held[] {
    const late: Held[] = []
    for (const held of batch) {
      const key = this.#keyOf(held)
      const awaited = key !== undefined && this.#broken.get(key)
      if (!awaited) this.#queue(held, key)
      else if (awaited !== held.delivery.message.id) late.push(held)
      else {
        this.#broken.delete(key)
        this.#queue(held, key)
      }
    }
    this.#broken.clear()
    return late
  }

  /** Takes out what may start. */
  next(): Held | undefined {
    return this.#ready.shift()
  }

  /** It is over: the next of its key may start. */
  pass(held: Held): void {
    const key = this.#keyOf(held)
    const line = key === undefined ? undefined : this.#lines.get(key)
    if (key === undefined || line?.head !== held) return
    const next = line.behind.shift()
    if (!next) return void this.#lines.delete(key)
    line.head = next
    this.#ready.push(next)
  }

  /** It comes again before those behind it: takes them out, in order, to be given back. */
  breakOff(held: Held): Held[] {
    const key = this.#keyOf(held)
    const line = key === undefined ? undefined : this.#lines.get(key)
    if (key === undefined || line?.head !== held) return []
    this.#broken.set(key, held.delivery.message.id)
    return line.behind.splice(0)
  }

  /** What was taken out may start again after `ms`, and those behind it wait for it. */
  wait(held: Held, ms: number): void {
    const again = (): void => {
      this.#waiting.delete(held)
      this.#ready.push(held)
      this.#onReady()
    }
    this.#waiting.set(held, this.#clock.after(ms, again))
  }

  /** Takes out whatever does not run, each key in order. */
  drain(): Held[] {
    for (const cancel of this.#waiting.values()) cancel()
    const idle = new Set([...this.#ready.drain(), ...this.#waiting.keys()])
    this.#waiting.clear()
    for (const [key, line] of this.#lines) {
      const heldBack = line.behind.splice(0)
      if (idle.has(line.head)) this.#lines.delete(key)
      for (const held of heldBack) idle.add(held)
    }
    return [...idle]
  }

  #queue(held: Held, key: string | undefined): void {
    const line = key === undefined ? undefined : this.#lines.get(key)
    if (line) line.behind.push(held)
    else {
      if (key !== undefined) this.#lines.set(key, { head: held, behind: [] })
      this.#ready.push(held)
    }
  }

  /** Without a key a message is in nobody's way. */
  #keyOf({ delivery }: Held): string | undefined {
    return this.#byKey ? delivery.message.key : undefined
  }
}
