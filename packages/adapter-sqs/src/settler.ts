import { BOOK_HEADERS, type Failure, type Settlement, type Source, systemClock } from '@msgloop/core/driver'
import type { Api } from './api.js'
import { type Indexed, inRequests, SMALL, store } from './batch.js'
import { outlives, wholeSeconds, YOUNG_MS } from './delay.js'
import { classify } from './errors.js'
import type { GivenBack } from './given-back.js'
import type { QueueRef, Queues } from './queues.js'
import { leaseLost, type Token } from './token.js'
import { booksOf, type Copying, copyOf, type Headers } from './wire.js'

/** Left of the 12 hours for the way to the broker. */
const CAP_MARGIN_MS = 60_000

interface Hiding {
  readonly token: Token
  readonly ms: number
}

interface Replacing {
  readonly token: Token
  /** Queue the copy goes to. Absent: its own. */
  readonly to?: string
  readonly copying: Omit<Copying, 'fifo'>
}

export interface SettlerParts {
  readonly api: Api
  readonly queues: Queues
  readonly ref: QueueRef
  readonly source: Source
  readonly givenBack: GivenBack
  /** Told of each delivery that is no longer held. */
  readonly over: (token: Token) => void
}

/** Carries out verdicts, in as few requests as they fit. */
export class Settler {
  readonly #parts: SettlerParts

  constructor(parts: SettlerParts) {
    this.#parts = parts
  }

  async settle(batch: readonly Settlement<Token>[], signal?: AbortSignal): Promise<readonly Failure[]> {
    const mine = batch.map(({ token, verdict }, index) => ({ index, token, verdict }))
    const begun = mine.filter(({ token }) => !token.settled && !token.lost)
    const failures: Failure[] = mine
      .filter(({ token }) => !token.settled && token.lost)
      .map(({ index }) => ({ index, error: leaseLost(this.#parts.source.name) }))
    for (const { token } of begun) token.settled = true
    const retentionMs = await this.#retention(begun)

    const keyed = this.#keyed
    const { givenBack } = this.#parts
    const deleting: Indexed<Token>[] = []
    const hiding: Indexed<Hiding>[] = []
    const replacing: Indexed<Replacing>[] = []
    const replace = (index: number, token: Token, rest: Omit<Replacing, 'token'>): void =>
      void replacing.push({ index, item: { token, ...rest } })
    for (const { index, token, verdict } of begun) {
      if (token.copied || verdict.kind === 'ack') deleting.push({ index, item: token })
      else if (verdict.kind === 'retry') {
        const { delayMs: ms, headers } = verdict
        if (this.#fitsInPlace(token, ms, retentionMs))
          hiding.push({ index, item: { token, ms: Math.min(ms, token.capMs - CAP_MARGIN_MS) } })
        else replace(index, token, { copying: again(token, ms, headers) })
      } else if (verdict.kind === 'move') {
        const { to, headers: books } = verdict
        replace(index, token, { to, copying: { books, delayMs: 0, keepsExpiry: false } })
      } else if (this.#parts.source.role === 'dead-letter' || keyed) {
        if (keyed) givenBack.note(token.nativeId)
        hiding.push({ index, item: { token, ms: 0 } })
      }
      // SQS counts every receipt, and attempts are counted by that: only a new message can be given back uncounted.
      else replace(index, token, { copying: again(token, 0, {}) })
    }
    const done = await Promise.all([
      this.#delete(deleting, signal),
      this.#hide(hiding, signal),
      this.#replace(replacing, signal),
    ])
    failures.push(...done.flat())
    const failed = new Map(failures.map(({ index, error }) => [index, error]))
    for (const { index, token, verdict } of begun) {
      const error = failed.get(index)
      const lost = error !== undefined && classify(error).code === 'LEASE_LOST'
      if (lost) token.leasedUntil = 0
      if (error === undefined) {
        if (verdict.kind === 'ack' || verdict.kind === 'move') givenBack.forget(token.nativeId)
      } else if (verdict.kind === 'release' && keyed) givenBack.undo(token.nativeId)
      if (error === undefined || lost) this.#parts.over(token)
      else token.settled = false
    }
    return failures
  }

  async extend(tokens: readonly Token[], leaseMs: number): Promise<readonly Failure[]> {
    const { source } = this.#parts
    const from = systemClock.elapsed()
    const failures: Failure[] = []
    const hiding: Indexed<Hiding>[] = []
    tokens.forEach((token, index) => {
      const ms = Math.min(leaseMs, token.capMs - CAP_MARGIN_MS)
      if (token.settled) return
      if (token.lost || ms <= 0) failures.push({ index, error: leaseLost(source.name) })
      else hiding.push({ index, item: { token, ms } })
    })
    failures.push(...(await this.#hide(hiding, undefined)))
    const failed = new Set(failures.map(({ index }) => index))
    for (const { index, item } of hiding)
      if (!failed.has(index)) item.token.leasedUntil = from + wholeSeconds(item.ms) * 1_000
    return failures
  }

  /** Makes a message invisible for as long. What fails comes back when its lease ends. */
  async hold(token: Token, ms: number): Promise<void> {
    await this.#hide([{ index: 0, item: { token, ms } }], undefined)
  }

  /** Stores a message afresh, with what is left of its delay, and deletes it. */
  async renew(token: Token, delayMs: number): Promise<void> {
    const copying = { books: booksOf(token.decoded.message.headers), delayMs, keepsExpiry: true }
    await this.#replace([{ index: 0, item: { token, copying } }], undefined)
  }

  /** Shows again at once what is neither settled nor lost: it is ours no longer. What fails comes back later. */
  async drop(tokens: readonly Token[], signal: AbortSignal): Promise<void> {
    const left = tokens.filter((token) => !token.settled && !token.lost)
    for (const token of left) token.leasedUntil = 0
    await this.#hide(
      left.map((token, index) => ({ index, item: { token, ms: 0 } })),
      signal,
    )
  }

  get #keyed(): boolean {
    return this.#parts.ref.fifo?.keyed === true
  }

  /** A copy has lost its turn, so where that counts only what would be deleted becomes one. */
  #fitsInPlace(token: Token, ms: number, retentionMs: number): boolean {
    if (ms > token.capMs - CAP_MARGIN_MS && !this.#keyed) return false
    return !outlives(token.ageMs(this.#parts.api.now()) + ms, retentionMs)
  }

  /** Asked for only where a retry might wait for longer than the queue keeps it. */
  async #retention(batch: readonly Settlement<Token>[]): Promise<number> {
    const { api, queues, ref } = this.#parts
    const now = api.now()
    for (const { token, verdict } of batch)
      if (verdict.kind === 'retry' && token.ageMs(now) + verdict.delayMs > YOUNG_MS)
        return await queues.retentionMs(ref)
    return Number.POSITIVE_INFINITY
  }

  #delete(all: readonly Indexed<Token>[], signal: AbortSignal | undefined): Promise<Failure[]> {
    const { api, ref } = this.#parts
    return inRequests(all, SMALL, (part) =>
      api.delete(
        ref.url,
        part.map(({ handle }, n) => ({ Id: String(n), ReceiptHandle: handle })),
        signal,
      ),
    )
  }

  #hide(all: readonly Indexed<Hiding>[], signal: AbortSignal | undefined): Promise<Failure[]> {
    const { api, ref } = this.#parts
    return inRequests(all, SMALL, (part) =>
      api.setVisibility(
        ref.url,
        part.map(({ token: { handle }, ms }, n) => ({
          Id: String(n),
          ReceiptHandle: handle,
          VisibilityTimeout: wholeSeconds(ms),
        })),
        signal,
      ),
    )
  }

  /** Stores copies, and deletes the originals of those that SQS has taken. */
  async #replace(all: readonly Indexed<Replacing>[], signal: AbortSignal | undefined): Promise<Failure[]> {
    const byQueue = new Map<string | undefined, Indexed<Replacing>[]>()
    for (const each of all) {
      const { to } = each.item
      byQueue.set(to, [...(byQueue.get(to) ?? []), each])
    }
    const failures = await Promise.all(
      [...byQueue].map(async ([to, each]) => {
        try {
          return await this.#replaceIn(await this.#target(to, signal), each, signal)
        } catch (error) {
          return each.map(({ index }) => ({ index, error }))
        }
      }),
    )
    return failures.flat()
  }

  async #replaceIn(
    target: QueueRef,
    all: readonly Indexed<Replacing>[],
    signal: AbortSignal | undefined,
  ): Promise<Failure[]> {
    const { api, queues } = this.#parts
    const copies = all.map(({ index, item: { token, copying } }) => ({
      index,
      item: copyOf(token.native, { ...copying, fifo: target.fifo }),
    }))
    const failures = await store(api, queues, target, copies, signal)
    const failed = new Set(failures.map(({ index }) => index))
    const stored = all.filter(({ index }) => !failed.has(index))
    for (const { item } of stored) item.token.copied = true
    const originals = stored.map(({ index, item }) => ({ index, item: item.token }))
    return [...failures, ...(await this.#delete(originals, signal))]
  }

  #target(to: string | undefined, signal: AbortSignal | undefined): QueueRef | Promise<QueueRef> {
    return to === undefined ? this.#parts.ref : this.#parts.queues.findAny(to, signal)
  }
}

/** The copy of a message that goes on counting where this one is, or where `headers` say. */
function again(token: Token, delayMs: number, headers: Headers): Omit<Copying, 'fifo'> {
  const books: Record<string, string> = {
    ...booksOf(token.decoded.message.headers),
    [BOOK_HEADERS.attempt]: headers[BOOK_HEADERS.attempt] ?? String(token.attempt),
    [BOOK_HEADERS.deliveries]: headers[BOOK_HEADERS.deliveries] ?? String(token.deliveries),
  }
  const first = headers[BOOK_HEADERS.firstAttemptAt]
  if (first !== undefined) books[BOOK_HEADERS.firstAttemptAt] = first
  return { books, delayMs, keepsExpiry: true }
}
