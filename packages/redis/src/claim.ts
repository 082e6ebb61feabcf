import { MsgloopError } from '@msgloop/core'
import type { Cluster, Redis } from 'ioredis'
import { sorted } from './errors.js'
import { COMMIT, LET_GO, RENEW } from './scripts.js'

export interface ClaimOptions {
  readonly client: Redis | Cluster
  readonly key: string
  /** To people. */
  readonly what: string
  readonly token: number
  readonly claimMs: number
}

/** The right of one run to work on a message: renewed while it works, and lost when it cannot be renewed. */
export class Claim {
  readonly signal: AbortSignal
  readonly #options: ClaimOptions
  readonly #lost = new AbortController()

  constructor(options: ClaimOptions, outer: AbortSignal) {
    this.#options = options
    this.signal = AbortSignal.any([outer, this.#lost.signal])
  }

  /** @throws what `work` throws, or the reason of the signal when it aborts */
  async during(work: () => Promise<void>): Promise<void> {
    const { claimMs } = this.#options
    let renewedAt = performance.now()
    const renew = async (): Promise<void> => {
      const at = performance.now()
      try {
        if (await this.#ask(RENEW, claimMs)) renewedAt = at
        else this.#lose()
      } catch {
        // Asked again at the next tick, while the claim lasts.
        if (performance.now() - renewedAt > claimMs) this.#lose()
      }
    }
    const timer = setInterval(() => void renew(), claimMs / 3)
    let stop: () => void = () => {}
    const aborted = new Promise<never>((_, reject) => {
      stop = () => reject(this.signal.reason)
    })
    this.signal.addEventListener('abort', stop, { once: true })
    try {
      this.signal.throwIfAborted()
      await Promise.race([work(), aborted])
      this.signal.throwIfAborted()
    } finally {
      clearInterval(timer)
      this.signal.removeEventListener('abort', stop)
    }
  }

  /** @throws MsgloopError `LEASE_LOST` when another run has the message by now */
  async commit(keepMs: number): Promise<void> {
    const { what } = this.#options
    let held: boolean
    try {
      held = await this.#ask(COMMIT, keepMs)
    } catch (error) {
      throw sorted(`${what}: whether it was marked is not known; the next delivery will tell`, error)
    }
    if (!held) throw this.#overtaken()
  }

  /** The claim ends by itself, if this cannot be told. */
  async letGo(): Promise<void> {
    await this.#ask(LET_GO).catch(() => {})
  }

  async #ask(script: string, ms?: number): Promise<boolean> {
    const { client, key, token } = this.#options
    const args = ms === undefined ? [token] : [token, ms]
    return (await client.eval(script, 1, key, ...args)) === 1
  }

  #lose(): void {
    this.#lost.abort(this.#overtaken())
  }

  #overtaken(): MsgloopError {
    const { what, token } = this.#options
    return new MsgloopError(
      'LEASE_LOST',
      `${what}: run ${token} lost its claim, and another may have begun; its effects are not marked`,
    )
  }
}
