import type { Delivery, Outgoing } from '@msgloop/core/driver'
import { BOOK_HEADERS } from '@msgloop/core/engine'

/**
 * The copy of a delivery for another broker: same id, body, headers and fields, with what the source's broker
 * counts by itself written down, as the other's cannot know it. The hand-over to whoever moves it does not count.
 */
export function carry({ message, attempt, deliveries, nativeDeath }: Delivery): Outgoing {
  const headers: Record<string, string> = { ...message.headers }
  if (attempt !== undefined && attempt > 1) headers[BOOK_HEADERS.attempt] = String(attempt)
  if (deliveries > 1) headers[BOOK_HEADERS.deliveries] = String(deliveries - 1)
  else delete headers[BOOK_HEADERS.deliveries]
  if (nativeDeath && headers[BOOK_HEADERS.dead] === undefined)
    headers[BOOK_HEADERS.dead] = JSON.stringify({
      reason: nativeDeath.reason,
      source: nativeDeath.source ?? '',
      at: nativeDeath.at ?? message.timestamp,
      deliveries,
    })
  return { message: { ...message, headers }, delayMs: 0 }
}
