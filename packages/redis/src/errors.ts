import { MsgloopError } from '@msgloop/core'

/** An error of Redis or its client as ours. Whatever it is, time may mend it, but for a refusal. */
export function sorted(what: string, error: unknown): MsgloopError {
  if (error instanceof MsgloopError) return error
  const reason = error instanceof Error ? error.message : String(error)
  if (/^(NOAUTH|WRONGPASS|NOPERM)/.test(reason))
    return new MsgloopError('DENIED', `${what}: ${reason}`, { cause: error })
  if (/^(OOM|BUSY|LOADING|READONLY|CLUSTERDOWN|TRYAGAIN|MASTERDOWN)/.test(reason))
    return new MsgloopError('BUSY', `${what}: ${reason}`, { retryable: true, cause: error })
  return new MsgloopError('CONNECTION_LOST', `${what}: ${reason}`, { retryable: true, cause: error })
}
