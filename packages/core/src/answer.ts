import { deadError } from './book.js'
import type { Codec } from './codec.js'
import { read } from './decode.js'
import type { Reply, WireMessage } from './driver.js'
import { MsgloopError } from './error.js'
import { BOOK_HEADERS } from './headers.js'
import { uuidv7 } from './id.js'
import type { Judgement } from './judge.js'
import { UNANSWERED } from './judge.js'

const NOTHING = new Uint8Array()
const ERROR_CODEC = 'application/json'
const NO_HEADERS = Object.freeze({})
const FAILED = Object.freeze({ [BOOK_HEADERS.failed]: 'true' })

interface Rules {
  readonly codec: Codec<unknown>
  readonly bodyBytes: number
}

/**
 * The answer to a request that ended so; `undefined` while it has not ended, or when nobody knows it: who waits is
 * then told by the timeout that it may have been handled. What cannot be encoded, or is too
 * large, answers as a failure: whoever waits must hear.
 */
export function answerTo(
  request: WireMessage & { readonly replyTo: string },
  judged: Judgement,
  rules: Rules,
  now: number,
): Reply | undefined {
  const { kind } = judged.verdict
  if ((kind !== 'ack' && kind !== 'move') || judged.value === UNANSWERED) return undefined
  const failed = kind === 'move' || 'error' in judged
  const said = failed ? failure(reasonFor(judged)) : value(judged.value, rules)
  return {
    address: request.replyTo,
    message: {
      id: uuidv7(now),
      timestamp: now,
      correlationId: request.correlationId ?? request.id,
      causationId: request.id,
      traceparent: request.traceparent,
      tracestate: request.tracestate,
      ...said,
    },
  }
}

/** @throws MsgloopError `REMOTE` when the handler failed, `INVALID` when the answer cannot be decoded */
export function readAnswer(at: string, codec: Codec<unknown>, message: WireMessage): unknown {
  if (message.headers[BOOK_HEADERS.failed] !== undefined) throw remote(at, message.body)
  if (message.body.byteLength === 0 && message.contentType === undefined) return undefined
  try {
    return read(codec, message)
  } catch (error) {
    throw new MsgloopError('INVALID', `${at}: the answer cannot be decoded`, { cause: error })
  }
}

type Said = Pick<WireMessage, 'body' | 'headers' | 'contentType'>

/** Most handlers return nothing, which no codec can write: an empty body without a type says so. */
function value(returned: unknown, { codec, bodyBytes }: Rules): Said {
  if (returned === undefined) return { body: NOTHING, headers: NO_HEADERS, contentType: undefined }
  try {
    const body: unknown = codec.encode(returned)
    if (!(body instanceof Uint8Array))
      return failure(new MsgloopError('INVALID', 'the codec did not make a Uint8Array of the answer'))
    if (body.byteLength <= bodyBytes) return { body, headers: NO_HEADERS, contentType: codec.contentType }
    return failure(
      new MsgloopError(
        'TOO_LARGE',
        `the answer has ${body.byteLength} bytes; at most ${bodyBytes} are possible here`,
      ),
    )
  } catch (error) {
    return failure(error)
  }
}

function failure(error: unknown): Said {
  const { name, message } = deadError(error)
  const body = Buffer.from(JSON.stringify({ name, message }))
  return { body, headers: FAILED, contentType: ERROR_CODEC }
}

function reasonFor(judged: Judgement): unknown {
  if ('error' in judged) return judged.error
  return new MsgloopError('UNKNOWN', `the request was dead-lettered as ${judged.reason}`)
}

/** What the other end says is its word, not ours: anything may stand there. */
function remote(at: string, body: Uint8Array): MsgloopError {
  let said: { name?: unknown; message?: unknown } = {}
  try {
    said = Object(JSON.parse(Buffer.from(body).toString()))
  } catch {}
  const cause = new Error(typeof said.message === 'string' ? said.message : 'no reason was given')
  cause.name = typeof said.name === 'string' ? said.name : 'Error'
  return new MsgloopError('REMOTE', `${at}: the handler failed: ${cause.name}: ${cause.message}`, { cause })
}
