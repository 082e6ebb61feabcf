import { MsgloopError } from './error.js'
import { isA, reasonOf } from './reason.js'

/** Tells of trouble that no caller sees. Without a listener: a process warning, once per kind. */
export class Trouble {
  readonly #who: string
  readonly #listener: ((error: unknown) => void) | undefined
  readonly #warned = new Set<string>()

  constructor(who: string, listener: ((error: unknown) => void) | undefined) {
    this.#who = who
    this.#listener = listener
  }

  report(error: unknown): void {
    if (this.#listener) {
      try {
        this.#listener(error)
      } catch (thrown) {
        this.#warn(thrown)
      }
    } else this.#warn(error)
  }

  #warn(error: unknown): void {
    const code = isA(error, MsgloopError) ? error.code : 'UNKNOWN'
    if (this.#warned.has(code)) return
    this.#warned.add(code)
    const reason = reasonOf(error)
    process.emitWarning(`${this.#who}: ${reason}`, { code: `MSGLOOP_${code}` })
  }
}
