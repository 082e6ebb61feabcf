import type { Message } from '@aws-sdk/client-sqs'
import {
  type Delivery,
  type Failure,
  type Receiver,
  type ReceiverOptions,
  type Settlement,
  type Source,
  sleep,
  subjectMatcher,
  systemClock,
} from '@msgloop/core/driver'
import type { Api } from './api.js'
import { Bell } from './bell.js'
import { LEASE_CAP_MS, nextStep, wholeSeconds, YOUNG_MS } from './delay.js'
import { isMissing } from './errors.js'
import type { GivenBack } from './given-back.js'
import { Poller } from './poller.js'
import type { QueueRef, Queues } from './queues.js'
import { Settler } from './settler.js'
import { Token } from './token.js'
import { deathOf } from './wire.js'

/** What one request can bring. */
const MOST = 10
/** What giving back may take at the end of a receiver. */
const GRACE_MS = 2_000

export interface ReceiverParts {
  readonly api: Api
  readonly queues: Queues
  readonly ref: QueueRef
  readonly waitSeconds: number
  readonly givenBack: GivenBack
  readonly nameOf: (physical: string) => string
}

/** Long polls in, settlements out. Its leases outlive connections, so it never tells of a loss. */
export class SqsReceiver implements Receiver<Token> {
  readonly #parts: ReceiverParts
  readonly #prefetch: number
  readonly #leaseMs: number
  readonly #settler: Settler
  readonly #poller: Poller
  readonly #bell = new Bell()
  /** Of a subscription: SNS lets through more than its patterns do. */
  readonly #matches: ((subject: string) => boolean) | undefined
  /** Received, and not yet settled: handed over, waiting in `#inbox`, or on its way through a hop. */
  readonly #held = new Set<Token>()
  #inbox: Token[] = []
  /** Answers whose messages are not yet ours for a whole lease, or are being given back. */
  readonly #arriving = new Set<Promise<void>>()
  #failure: { readonly error: unknown } | undefined
  /** What the last `receive` asked for: others may have a claim to the rest of the prefetch. */
  #wanted = 0
  #stopped = false
  #closing: Promise<void> | undefined

  constructor(parts: ReceiverParts, source: Source, options: ReceiverOptions) {
    const { api, ref, waitSeconds } = parts
    this.#parts = parts
    this.#prefetch = options.prefetch
    this.#matches = source.kind === 'subscription' ? subjectMatcher(source.patterns) : undefined
    const leaseSeconds = wholeSeconds(Math.min(options.leaseMs, LEASE_CAP_MS))
    this.#leaseMs = leaseSeconds * 1_000
    this.#settler = new Settler({ ...parts, source, over: (token) => this.#letGo(token) })
    this.#poller = new Poller({
      api,
      // Of one key, the second would come along with the first, and be given back and counted with each retry of it.
      most: ref.fifo?.keyed ? 1 : MOST,
      url: ref.url,
      waitSeconds,
      leaseSeconds,
      free: () => Math.min(this.#free(), this.#wanted),
      busy: () => this.#held.size > 0,
      arrived: (messages, leaseMs) => this.#arrived(messages, leaseMs),
      failed: (error) => this.#failed(error),
      ring: () => this.#bell.ring(),
    })
  }

  async receive(max: number, waitMs: number, signal: AbortSignal): Promise<readonly Delivery<Token>[]> {
    this.#wanted = max
    const until = systemClock.elapsed() + waitMs
    const ring = (): void => this.#bell.ring()
    const cancel = systemClock.after(waitMs, ring)
    signal.addEventListener('abort', ring, { once: true })
    try {
      for (let asked = false; ; asked = true) {
        const ready = this.#take(max)
        if (ready.length > 0) return ready
        if (this.#failure) throw this.#failure.error
        if (signal.aborted || this.#stopped) return []
        const left = until - systemClock.elapsed()
        if (left > 0 || !asked) this.#poller.want(left)
        // A wait is never cut short: the broker may just be handing something over.
        if (left <= 0 && this.#poller.idle && this.#arriving.size === 0) return []
        await this.#bell.heard()
      }
    } finally {
      cancel()
      signal.removeEventListener('abort', ring)
    }
  }

  settle(batch: readonly Settlement<Token>[], signal?: AbortSignal): Promise<readonly Failure[]> {
    return this.#settler.settle(batch, signal)
  }

  extend(tokens: readonly Token[], leaseMs: number): Promise<readonly Failure[]> {
    return this.#settler.extend(tokens, leaseMs)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#poller.stop()
    this.#bell.ring()
    const arrived = Promise.allSettled([...this.#arriving, this.#giveBack(this.#inbox.splice(0))])
    const over = new AbortController()
    await Promise.race([arrived, sleep(systemClock, GRACE_MS, over.signal)])
    over.abort()
  }

  /** What is held is shown to others at once, as if its process had died: nobody says it was not worked on. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      await this.stop()
      await this.#settler.drop([...this.#held], AbortSignal.timeout(GRACE_MS))
      this.#held.clear()
    })()
    return this.#closing
  }

  #take(max: number): Delivery<Token>[] {
    const ready: Delivery<Token>[] = []
    while (ready.length < max) {
      const token = this.#inbox.shift()
      if (!token) break
      if (token.lost) this.#held.delete(token)
      else ready.push(this.#delivery(token))
    }
    return ready
  }

  #delivery(token: Token): Delivery<Token> {
    const { decoded } = token
    const death = deathOf(decoded, this.#parts.nameOf)
    return {
      token,
      message: decoded.message,
      deliveries: token.deliveries,
      attempt: token.attempt,
      ...(death && { nativeDeath: death }),
      native: token.native,
    }
  }

  #free(): number {
    const free = this.#prefetch - this.#held.size
    if (free > 0) return free
    // Whoever let a lease run out does not say so.
    for (const token of this.#held) if (token.lost) this.#held.delete(token)
    return this.#prefetch - this.#held.size
  }

  #arrived(messages: readonly Message[], leaseMs: number): void {
    const work = this.#welcome(messages, leaseMs).finally(() => {
      this.#arriving.delete(work)
      this.#bell.ring()
    })
    this.#arriving.add(work)
  }

  async #welcome(messages: readonly Message[], leaseMs: number): Promise<void> {
    const tokens: Token[] = []
    const surplus: Token[] = []
    const unwanted: Token[] = []
    for (const message of messages) {
      const token = new Token(message, leaseMs, this.#parts.givenBack.of(message.MessageId ?? ''))
      // An answer that was given up may bring more than there is room for by now.
      const room = this.#free() > 0
      this.#held.add(token)
      if (!this.#isWanted(token)) unwanted.push(token)
      else if (token.decoded.delayMs > 0) void this.#hop(token, leaseMs)
      else if (room) tokens.push(token)
      else surplus.push(token)
    }
    void this.#giveBack(surplus)
    void this.#discard(unwanted)
    await this.#handOver(tokens, leaseMs)
  }

  async #handOver(tokens: readonly Token[], leaseMs: number): Promise<void> {
    if (leaseMs < this.#leaseMs && !this.#stopped) await this.#lengthen(tokens)
    const ours = tokens.filter((token) => this.#held.has(token))
    if (this.#stopped) await this.#giveBack(ours)
    else this.#inbox.push(...ours)
  }

  /** They have arrived: from now on they are ours for a whole lease. What fails comes again soon. */
  async #lengthen(tokens: readonly Token[]): Promise<void> {
    for (const { index } of await this.#settler.extend(tokens, this.#leaseMs)) {
      const token = tokens[index]
      if (token) this.#letGo(token)
    }
  }

  /** A message with a long delay: most of its receipts are no delivery. */
  async #hop(token: Token, arrivedMs: number): Promise<void> {
    const { api, queues, ref } = this.#parts
    const { delayMs, storedAt, count } = token.decoded
    const now = api.now()
    const retentionMs = now - storedAt > YOUNG_MS ? await queues.retentionMs(ref) : Number.POSITIVE_INFINITY
    const keyed = ref.fifo?.keyed === true
    const step = nextStep({ delayMs, storedAt, now, count, retentionMs, keyed })
    if (step.kind === 'deliver') {
      token.hops = step.hops
      await this.#handOver([token], arrivedMs)
      return this.#bell.ring()
    }
    // No close may show it again meanwhile. Should it fail, the message comes again when its lease ends, and takes the same step.
    token.settled = true
    if (step.kind === 'hold') await this.#settler.hold(token, step.ms)
    else await this.#settler.renew(token, step.ms)
    this.#letGo(token)
  }

  #isWanted({ decoded: { published } }: Token): boolean {
    return !this.#matches || published === undefined || this.#matches(published)
  }

  /** What fails comes again when its lease ends, and is not wanted then, either. */
  async #discard(tokens: readonly Token[]): Promise<void> {
    if (tokens.length === 0) return
    await this.#settler.settle(tokens.map((token) => ({ token, verdict: { kind: 'ack' } as const })))
    for (const token of tokens) this.#letGo(token)
  }

  /** What nobody was handed costs no attempt; if that is impossible now, it costs one, but is not kept hidden. */
  async #giveBack(tokens: readonly Token[]): Promise<void> {
    if (tokens.length === 0) return
    const batch = tokens.map((token) => ({ token, verdict: { kind: 'release' } as const }))
    const failures = await this.#settler.settle(batch, AbortSignal.timeout(GRACE_MS))
    const left = failures.flatMap(({ index }) => tokens[index] ?? [])
    await this.#settler.drop(left, AbortSignal.timeout(GRACE_MS))
    for (const token of tokens) this.#letGo(token)
  }

  #letGo(token: Token): void {
    if (this.#held.delete(token)) this.#bell.ring()
  }

  #failed(error: unknown): void {
    const { queues, ref } = this.#parts
    if (isMissing(error)) queues.forget(ref.name)
    if (!this.#stopped) this.#failure ??= { error }
  }
}
