import type { Classified, ErrorCode, SendOutcome } from './driver.js'

/**
 * What a driver throws where there is no native error to throw: a returned publish, a lease that
 * is over, a confirm that did not come. The core reads its classification instead of asking `classify`.
 *
 * @example throw new DriverError('NOT_FOUND', 'no queue "orders"', { outcome: 'rejected' })
 */
export class DriverError extends Error implements Classified {
  override readonly name = 'DriverError'
  readonly code: ErrorCode
  readonly retryable: boolean
  readonly outcome?: SendOutcome

  constructor(
    code: ErrorCode,
    message: string,
    options: { retryable?: boolean; outcome?: SendOutcome; cause?: unknown } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.retryable = options.retryable ?? false
    if (options.outcome !== undefined) this.outcome = options.outcome
  }
}

/** The end of a connection, channel or session, as the core should see it: it comes back by itself. */
export function lostError(what: string, cause: unknown): DriverError {
  const why = cause instanceof Error ? `: ${cause.message}` : ''
  return new DriverError('CONNECTION_LOST', `${what} was lost${why}`, { retryable: true, cause })
}
