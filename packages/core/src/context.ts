import type { Answers } from './answers.js'
import type { AttemptLog } from './attempt-log.js'
import type { Clock } from './clock.js'
import type { Driver } from './driver.js'
import { MsgloopError } from './error.js'
import type { Requests } from './requests.js'
import type { SendBudget } from './send-budget.js'
import type { TopologyKeeper } from './topology-keeper.js'

/** What the parts of one broker share. */
export interface Context {
  readonly driver: Driver
  readonly clock: Clock
  readonly random: () => number
  readonly topology: TopologyKeeper
  readonly budget: SendBudget
  readonly attempts: AttemptLog
  readonly requests: Requests
  readonly answers: Answers
  /** @throws MsgloopError `CLOSED` after `broker.close()` began */
  readonly assertOpen: () => void
  /** As `assertOpen`, but handlers may send until the last of them has ended. */
  readonly assertSending: () => void
}

export function closed(what: string): MsgloopError {
  return new MsgloopError('CLOSED', `${what} is closed; open another with connect() or createBroker()`, {
    outcome: 'rejected',
  })
}

/**
 * Runs one call of a driver for at most `ms`, and no longer than `stop`: its signal aborts then, and
 * should the driver not heed it, the call is left behind (`late` gets what it came to).
 */
export async function bounded<T>(
  context: Pick<Context, 'driver' | 'clock'>,
  ms: number,
  what: string,
  stop: AbortSignal | undefined,
  call: (signal: AbortSignal) => Promise<T>,
  late?: (result: T) => void,
): Promise<T> {
  const controller = new AbortController()
  return await new Promise<T>((resolve, reject) => {
    let over = false
    const end = (error: MsgloopError): void => {
      if (over) return
      finish()
      controller.abort(error)
      reject(error)
    }
    const cancel = context.clock.after(ms, () =>
      end(
        new MsgloopError(
          'TIMEOUT',
          `${context.driver.name} at ${context.driver.address}: ${what} took longer than ${ms} ms`,
          { retryable: true },
        ),
      ),
    )
    const stopped = (): void => end(new MsgloopError('ABORTED', `${what} was stopped`))
    const finish = (): void => {
      over = true
      cancel()
      stop?.removeEventListener('abort', stopped)
    }
    stop?.addEventListener('abort', stopped, { once: true })
    if (stop?.aborted) return stopped()
    call(controller.signal).then(
      (result) => {
        if (over) return late?.(result)
        finish()
        resolve(result)
      },
      (error) => {
        if (over) return
        finish()
        reject(error)
      },
    )
  })
}
