import type { Middleware } from '@msgloop/core'

/**
 * The worst moment to die: the `nth` e-mail is out, and the worker never comes to the ack.
 * `tell` is told which message it holds then, for ever.
 */
export function stuckAt(nth: number, tell: (id: string) => void): Middleware {
  let sent = 0
  return async (message, next) => {
    await next()
    if (++sent < nth) return
    tell(message.id)
    await new Promise(() => {})
  }
}
