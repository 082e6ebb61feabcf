import type { Duration } from './duration.js'
import { positiveMilliseconds } from './duration.js'
import { MsgloopError } from './error.js'
import { onlyKnown } from './options.js'
import { rejected, SEND_OPTIONS } from './outgoing.js'
import type { RequestOptions, SendOptions } from './queue.js'

const DEFAULT_TIMEOUT: Duration = '30s'
const KNOWN = [...SEND_OPTIONS, 'timeout', 'expires']

/** Checked, with defaults filled in: how long to wait, and what to send with. */
export interface ReadRequest {
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  readonly send: SendOptions
}

/** @throws MsgloopError `INVALID`, with outcome `rejected` */
export function readRequest(at: string, options: RequestOptions): ReadRequest {
  try {
    onlyKnown(at, options, KNOWN)
    const { timeout = DEFAULT_TIMEOUT, expires = true, signal, ...rest } = options
    if (typeof expires !== 'boolean')
      throw new MsgloopError('INVALID', `${at}: option "expires" takes a boolean`)
    const timeoutMs = positiveMilliseconds(`${at}: option "timeout"`, timeout)
    const ttl = rest.ttl ?? (expires ? timeoutMs : undefined)
    return { timeoutMs, signal, send: { ...rest, ...(ttl !== undefined && { ttl }) } }
  } catch (error) {
    throw rejected(at, error)
  }
}
