import { untilAborted } from '@msgloop/core/driver'
import { CallCounter, type CallKind } from './calls.js'
import { noCredentials } from './errors.js'

/** What a request is, for counting it. */
export interface CallSubject {
  readonly kind: CallKind
  readonly queueUrl?: string | undefined
}

/** Makes requests, and counts them. Made twice, what is sent or published would be stored twice; nothing else would. */
export class Caller {
  readonly calls = new CallCounter()
  readonly #address: string

  constructor(address: string) {
    this.#address = address
  }

  async call<T>(
    subject: CallSubject,
    request: (options: { abortSignal?: AbortSignal }) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const options = signal ? { abortSignal: signal } : {}
    this.calls.count(subject.kind, subject.queueUrl)
    try {
      const first = request(options)
      const stores = subject.kind === 'send' || subject.kind === 'publish'
      const all = stores
        ? first
        : first.catch((error: unknown) => this.#again(subject, error, () => request(options)))
      return await untilAborted(all, signal)
    } catch (error) {
      if (error instanceof Error && error.name === 'CredentialsProviderError')
        throw noCredentials(this.#address, error)
      throw error
    }
  }

  /** That a kept connection is gone is often noticed only by using it. HTTP lets a client make such a request once more. */
  #again<T>(subject: CallSubject, error: unknown, request: () => Promise<T>): Promise<T> {
    const code = error instanceof Error && 'code' in error ? error.code : undefined
    if (code !== 'ECONNRESET' && code !== 'EPIPE') return Promise.reject(error)
    this.calls.count(subject.kind, subject.queueUrl)
    return request()
  }
}
