import { DriverError } from './driver-error.js'

/**
 * Stops waiting for `work` when `signal` aborts; `work` itself goes on, and a result that comes later goes to `late`.
 *
 * @throws DriverError the signal's own reason where that is one, `ABORTED` otherwise
 * @example const channel = await untilAborted(opening, signal, (late) => void late.close())
 */
export function untilAborted<T>(
  work: Promise<T>,
  signal: AbortSignal | undefined,
  late: (value: T) => void = () => {},
): Promise<T> {
  if (!signal) return work
  return new Promise((resolve, reject) => {
    const stop = (): void => {
      const { reason } = signal
      reject(
        reason instanceof DriverError
          ? reason
          : new DriverError('ABORTED', 'stopped waiting for the broker', { cause: reason }),
      )
      work.then(late, () => {})
    }
    if (signal.aborted) return stop()
    signal.addEventListener('abort', stop, { once: true })
    work.finally(() => signal.removeEventListener('abort', stop)).then(resolve, reject)
  })
}
