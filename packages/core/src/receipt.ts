import type { Book } from './book.js'
import { CANARY_HEADERS } from './book.js'
import type { Judgement } from './judge.js'
import { besideName } from './names.js'
import type { ResolvedQueue } from './resolved-queue.js'

/** Where receipts of handled canary messages go; the replay that waits for them declares and deletes it. */
export function receiptsName(deadLetter: string): string {
  return besideName(deadLetter, '.canary')
}

/**
 * A canary message is not acked when it was handled but moved to where the replay sees it: so its outcome is
 * known for sure, in whichever process it came to pass, and is as durable as a dead letter.
 */
export function receiptFor(
  { definition, spec }: ResolvedQueue<unknown>,
  book: Book,
  judged: Judgement,
): Judgement | undefined {
  if (!book.canary || judged.step !== 'acked' || spec.role !== 'work') return undefined
  const verdict = { kind: 'move', to: receiptsName(definition.deadLetter), headers: CANARY_HEADERS } as const
  return { ...judged, verdict }
}
