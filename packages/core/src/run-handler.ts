import type { Clock } from './clock.js'
import type { Handler, Middleware } from './consumer.js'
import { MsgloopError } from './error.js'
import type { Held } from './held.js'
import type { Message } from './message.js'

/** How a handler run ended. A handler can throw `undefined`, so the error alone does not tell. */
export type Outcome =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: unknown }

const DONE: Outcome = Object.freeze({ ok: true, value: undefined })

/** Wraps a handler in middleware, outermost first, but for what waits before it. */
export function compose<T>(
  middleware: readonly Middleware[],
  handler: Handler<T>,
): (message: Message<T>) => unknown {
  let run = (message: Message<T>): unknown => handler(message.body, message, undefined)
  for (const wrapper of middleware.filter(({ waits }) => !waits).reverse()) {
    const inner = run
    run = (message) => wrapper(message, async () => await inner(message))
  }
  return run
}

/** All middleware that waits, as one. */
export function holding(middleware: readonly Middleware[]): Middleware | undefined {
  const waiting = middleware.filter(({ waits }) => waits)
  if (waiting.length === 0) return undefined
  return (message, begin) => {
    let run = begin
    for (const wrapper of [...waiting].reverse()) {
      const inner = run
      run = () => wrapper(message, inner)
    }
    return run()
  }
}

/**
 * Runs a handler to its end, and no longer than `timeoutMs`: then its signal aborts and it has failed,
 * whatever it does later. Never rejects.
 */
export async function runHandler<T>(
  run: (message: Message<T>) => unknown,
  message: Message<T>,
  held: Held,
  clock: Clock,
  timeoutMs: number | undefined,
): Promise<Outcome> {
  try {
    const result = run(message)
    const value: unknown =
      timeoutMs === undefined || !isPromiseLike(result)
        ? await result
        : await within(timeoutMs, result, held, clock)
    return value === undefined ? DONE : { ok: true, value }
  } catch (error) {
    return { ok: false, error }
  }
}

function within(timeoutMs: number, result: PromiseLike<unknown>, held: Held, clock: Clock): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(timeoutMs, () => {
      const error = new MsgloopError(
        'TIMEOUT',
        `the handler did not end within its handlerTimeout of ${timeoutMs} ms`,
      )
      held.abort(error)
      reject(error)
    })
    result.then(
      (value) => {
        cancel()
        resolve(value)
      },
      (error: unknown) => {
        cancel()
        reject(error)
      },
    )
  })
}

function isPromiseLike(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
  )
}
