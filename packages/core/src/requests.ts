import { reconnectDelayMs } from './backoff.js'
import type { CancelTimer } from './clock.js'
import { sleep } from './clock.js'
import type { Context } from './context.js'
import { bounded } from './context.js'
import type { ReplyChannel, SendOutcome, WireMessage } from './driver.js'
import { MsgloopError } from './error.js'
import { stopController } from './stop-signal.js'
import { wrap } from './wrap.js'

/** One attempt to open a reply channel. */
const OPEN_MS = 10_000

export interface Request {
  readonly id: string
  /** To people: `request to queue "orders"`. */
  readonly at: string
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  /** Sends it with this address for the answer. Aborting rejects at once. */
  readonly send: (replyTo: string, signal: AbortSignal) => Promise<unknown>
}

interface Waiting {
  readonly answer: (message: WireMessage) => void
  /** Gives up; `make` is told whether the request may be, or come to be, handled. */
  readonly giveUp: (make: (outcome: SendOutcome) => MsgloopError) => void
  /** Its answer can no longer arrive. */
  lost: string | undefined
}

/**
 * The requests of this process that wait for their answers, all on one reply channel: opened with the first of
 * them, and opened afresh for the next one when it was lost. What was in flight then keeps waiting for nothing:
 * sending it again could have it handled twice.
 */
export class Requests {
  readonly #context: Pick<Context, 'driver' | 'clock' | 'random'>
  readonly #waiting = new Map<string, Waiting>()
  readonly #stop = stopController()
  #channel: Promise<ReplyChannel> | undefined
  /** Why there is no channel. */
  #trouble: MsgloopError | undefined

  constructor(context: Pick<Context, 'driver' | 'clock' | 'random'>) {
    this.#context = context
  }

  /**
   * Resolves with the first answer. @throws MsgloopError `TIMEOUT`, `ABORTED`, `CLOSED` or why it was not sent, with
   * `outcome` `rejected` when it certainly is not handled
   */
  ask(request: Request): Promise<WireMessage> {
    const { id, at, timeoutMs, signal } = request
    return new Promise((resolve, reject) => {
      if (this.#stop.signal.aborted) return reject(this.#closed(at, 'rejected'))
      if (signal?.aborted) return reject(this.#aborted(at, 'rejected', signal.reason))
      if (this.#waiting.has(id))
        return reject(
          new MsgloopError('INVALID', `${at}: request ${id} is waiting for its answer already`, {
            outcome: 'rejected',
          }),
        )
      const sending = stopController()
      let state: 'opening' | 'sending' | 'sent' = 'opening'
      let cancel: CancelTimer = () => {}
      const over = (): boolean => {
        cancel()
        signal?.removeEventListener('abort', aborted)
        return this.#waiting.delete(id)
      }
      const fail = (error: MsgloopError): void => {
        if (over()) reject(error)
      }
      const sent = this.#opened().then(async ({ address }) => {
        if (!this.#waiting.has(id)) return
        state = 'sending'
        await request.send(address, sending.signal)
        state = 'sent'
      })
      const waiting: Waiting = {
        answer: (message) => {
          if (over()) resolve(message)
        },
        giveUp(make) {
          if (state !== 'sending') return fail(make(state === 'sent' ? 'unknown' : 'rejected'))
          // Whoever sends knows best what became of it.
          void sent.then(
            () => fail(make('unknown')),
            (error) => fail(make(outcomeOf(error))),
          )
          sending.abort()
        },
        lost: undefined,
      }
      const aborted = (): void => waiting.giveUp((outcome) => this.#aborted(at, outcome, signal?.reason))
      this.#waiting.set(id, waiting)
      cancel = this.#context.clock.after(timeoutMs, () =>
        waiting.giveUp((outcome) => this.#late(request, waiting, outcome)),
      )
      signal?.addEventListener('abort', aborted, { once: true })
      sent.catch((error) => {
        // Or it was given up, which is what failed it.
        if (!sending.signal.aborted) fail(wrap(this.#context.driver, { action: at }, error, 'unknown'))
      })
    })
  }

  /** Rejects what is waiting, and lets go of the channel. */
  async close(): Promise<void> {
    this.#stop.abort()
    for (const { giveUp } of [...this.#waiting.values()])
      giveUp((outcome) => this.#closed('the request', outcome))
    const channel = await this.#channel?.catch(() => undefined)
    if (channel)
      await bounded(this.#context, OPEN_MS, 'closing a reply channel', undefined, () =>
        channel.close(),
      ).catch(() => {})
  }

  #opened(): Promise<ReplyChannel> {
    if (this.#channel) return this.#channel
    const forget = (): void => {
      if (this.#channel === channel) this.#channel = undefined
    }
    const channel = this.#open(forget)
    this.#channel = channel
    channel.catch(forget)
    return channel
  }

  /** Tries as long as anybody waits. */
  async #open(forget: () => void): Promise<ReplyChannel> {
    const { driver, clock, random } = this.#context
    const { replies } = driver
    for (let attempt = 1; ; attempt++) {
      let lost: MsgloopError | undefined
      const onLost = (error: unknown): void => {
        lost = wrap(driver, { action: 'wait for answers' }, error)
        forget()
        for (const waiting of this.#waiting.values()) waiting.lost ??= lost.message
      }
      try {
        if (!replies) throw new MsgloopError('UNSUPPORTED', `there is no request-reply on ${driver.name}`)
        const channel = await bounded(
          this.#context,
          OPEN_MS,
          'opening a reply channel',
          this.#stop.signal,
          (signal) => replies.open({ onReply: this.#onReply, onLost }, signal),
          (late) => void late.close().catch(() => {}),
        )
        if (lost) throw lost
        this.#trouble = undefined
        return channel
      } catch (error) {
        this.#trouble = wrap(driver, { action: 'open a reply channel' }, error, 'rejected')
        if (!this.#trouble.retryable) throw this.#trouble
      }
      await sleep(clock, reconnectDelayMs(attempt, random), this.#stop.signal)
      if (this.#waiting.size === 0 || this.#stop.signal.aborted) throw this.#trouble
    }
  }

  /** By the id of the request; a foreign client that answers knows its correlation id only. What comes late is dropped. */
  readonly #onReply = (message: WireMessage): void => {
    const { causationId, correlationId } = message
    const waiting = this.#waiting.get(causationId ?? '') ?? this.#waiting.get(correlationId ?? '')
    waiting?.answer(message)
  }

  #late({ at, timeoutMs }: Request, { lost }: Waiting, outcome: SendOutcome): MsgloopError {
    const why = lost ?? (outcome === 'rejected' ? this.#trouble?.message : undefined)
    const means = outcome === 'rejected' ? 'it was not sent' : 'it may have been handled, or still be'
    return new MsgloopError(
      'TIMEOUT',
      `${this.#where(at)} had no answer within ${timeoutMs} ms; ${means}${why === undefined ? '' : `: ${why}`}`,
      { retryable: true, outcome },
    )
  }

  #aborted(at: string, outcome: SendOutcome, cause: unknown): MsgloopError {
    return new MsgloopError('ABORTED', `${this.#where(at)} was aborted by its signal`, { outcome, cause })
  }

  #closed(at: string, outcome: SendOutcome): MsgloopError {
    return new MsgloopError(
      'CLOSED',
      `${this.#where(at)}: the broker was closed before there was an answer`,
      {
        outcome,
      },
    )
  }

  #where(at: string): string {
    const { driver } = this.#context
    return `${driver.name} at ${driver.address}: ${at}`
  }
}

function outcomeOf(error: unknown): SendOutcome {
  return error instanceof MsgloopError ? (error.outcome ?? 'unknown') : 'unknown'
}
