import type { BatchConsumeOptions, BatchHandler } from './batch-handler.js'
import { Batches } from './batches.js'
import type { Consumer, ConsumerState } from './consumer.js'
import { ConsumerLoop } from './consumer-loop.js'
import type { Context } from './context.js'
import type { Duration } from './duration.js'
import { milliseconds } from './duration.js'
import { MsgloopError } from './error.js'
import { onlyKnown, positiveInteger, upTo } from './options.js'
import type { ResolvedQueue } from './resolved-queue.js'

const KNOWN: readonly (keyof BatchConsumeOptions)[] = [
  'size',
  'wait',
  'concurrency',
  'handlerTimeout',
  'middleware',
  'name',
  'onError',
]
const MOST = 1_000

/** A consumer loop with a slot for each message of its batches. */
export class BatchConsumer<T> implements Consumer {
  readonly #loop: ConsumerLoop<T>
  readonly #batches: Batches<T>
  readonly #size: number

  constructor(
    context: Context,
    resolved: ResolvedQueue<T>,
    handler: BatchHandler<T>,
    options: BatchConsumeOptions,
    closed: () => void,
  ) {
    const at = `consumeBatch of queue "${resolved.definition.name}"`
    onlyKnown(at, options, KNOWN)
    if (typeof handler !== 'function')
      throw new MsgloopError('INVALID', `${at}: the handler must be a function`)
    if (resolved.definition.guarantee === 'exactly-once')
      throw new MsgloopError(
        'UNSUPPORTED',
        `${at}: its guarantee is 'exactly-once', and each message has a transaction of its own; use consume(handler, { inbox })`,
      )
    const { size, wait = 100, concurrency = 1, middleware = [], ...others } = options
    this.#size = upTo(MOST, `${at}: option "size"`, size)
    const most = positiveInteger(`${at}: option "concurrency"`, concurrency)
    const waitMs = milliseconds(`${at}: option "wait"`, wait)
    this.#batches = new Batches(context.clock, handler, { at, size, waitMs, most })
    this.#loop = new ConsumerLoop<T>(
      context,
      resolved,
      this.#batches.handle,
      { ...others, concurrency: size * most, middleware: [...middleware, this.#batches.gather] },
      closed,
    )
  }

  get name(): string {
    return this.#loop.name
  }

  get queue(): string {
    return this.#loop.queue
  }

  get state(): ConsumerState {
    return this.#loop.state
  }

  get ready(): Promise<void> {
    return this.#loop.ready
  }

  get running(): number {
    return this.#batches.running
  }

  get concurrency(): number {
    return this.#batches.most
  }

  set concurrency(value: number) {
    this.#batches.most = positiveInteger(`consumer of queue "${this.queue}": "concurrency"`, value)
    this.#loop.concurrency = this.#size * value
  }

  pause(): Promise<void> {
    return this.#loop.pause()
  }

  resume(): void {
    this.#loop.resume()
  }

  close(options?: { readonly timeout?: Duration }): Promise<void> {
    return this.#loop.close(options)
  }
}
