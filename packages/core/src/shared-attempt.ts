import { untilAborted } from './until-aborted.js'

interface Running<T> {
  readonly result: Promise<T>
  readonly abort: AbortController
  waiting: number
}

/**
 * Work that callers share, such as opening a connection: begun by the first, one at a time, and given up when the
 * last of them has stopped waiting.
 *
 * @example const opening = new SharedAttempt((abort) => dial(target, abort.signal)); await opening.join(signal)
 */
export class SharedAttempt<T> {
  readonly #begin: (abort: AbortController) => Promise<T>
  #running: Running<T> | undefined

  constructor(begin: (abort: AbortController) => Promise<T>) {
    this.#begin = begin
  }

  /** @throws DriverError `ABORTED` when `signal` aborts first; whatever the work throws */
  async join(signal?: AbortSignal): Promise<T> {
    this.#running ??= this.#start()
    const running = this.#running
    running.waiting++
    try {
      return await untilAborted(running.result, signal)
    } finally {
      if (--running.waiting === 0 && this.#running === running) running.abort.abort()
    }
  }

  /** Gives up what is under way, whoever waits for it. */
  abort(): void {
    this.#running?.abort.abort()
  }

  #start(): Running<T> {
    const abort = new AbortController()
    const running: Running<T> = { result: this.#begin(abort), abort, waiting: 0 }
    const over = (): void => {
      if (this.#running === running) this.#running = undefined
    }
    running.result.then(over, over)
    abort.signal.addEventListener('abort', over)
    return running
  }
}
