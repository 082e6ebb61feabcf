/**
 * For packages of msgloop itself that work below the portable types: whole messages, with everything the core keeps
 * about them. Not for applications, and not for adapters; it changes without notice.
 */
export { reconnectDelayMs } from './backoff.js'
export type { Book } from './book.js'
export { readBook, userHeaders } from './book.js'
export type { Context } from './context.js'
export { bounded } from './context.js'
export { read as readBody } from './decode.js'
export { BOOK_HEADERS, RESERVED_PREFIX } from './headers.js'
export type { Held } from './held.js'
export { Intake } from './intake.js'
export { makeContext } from './make-context.js'
export { Pace } from './pace.js'
export { preparePublish, prepareSend, sendPrepared } from './prepared.js'
export type { ResolvedQueue } from './resolved-queue.js'
export { resolveDeadLetterQueue, resolveQuarantine, resolveQueue } from './resolved-queue.js'
export { SenderLink } from './sender-link.js'
export { stopController } from './stop-signal.js'
export { take } from './take.js'
