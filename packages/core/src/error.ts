import type { Classified, ErrorCode, SendOutcome } from './driver.js'

/**
 * The one error of msgloop. Act on `code`, never on `message`.
 *
 * `retryable`: the same call may succeed later without anybody changing anything.
 * `outcome`: set on failed sends. `rejected` means certainly not stored; `unknown`, perhaps stored,
 * and only then can sending again make a duplicate.
 * `cause`: the client library's own error.
 *
 * @example
 * try { await queue.send(order) }
 * catch (error) { if (error instanceof MsgloopError && error.outcome === 'rejected') await queue.send(order) }
 */
export class MsgloopError extends Error {
  override readonly name = 'MsgloopError'
  readonly code: ErrorCode
  readonly retryable: boolean
  readonly outcome?: SendOutcome

  constructor(
    code: ErrorCode,
    message: string,
    options: { retryable?: boolean; outcome?: SendOutcome | undefined; cause?: unknown } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.retryable = options.retryable ?? false
    if (options.outcome !== undefined) this.outcome = options.outcome
  }
}

/**
 * Thrown by a handler: this message can never succeed. It is dead-lettered at once with reason `rejected`.
 *
 * @example throw new Reject('address does not exist')
 */
export class Reject extends Error {
  override readonly name = 'Reject'
}

export type { Classified, ErrorCode, SendOutcome }
