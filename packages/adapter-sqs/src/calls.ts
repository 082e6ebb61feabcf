/** Requests made, which is what AWS bills: each is one, however many messages are in it. */
export interface Calls {
  readonly send: number
  readonly receive: number
  readonly delete: number
  readonly visibility: number
  /** To SNS: messages for topics. */
  readonly publish: number
  /** Looking up, declaring, counting. */
  readonly other: number
  readonly total: number
}

export type CallKind = Exclude<keyof Calls, 'total'>

export class CallCounter implements Calls {
  send = 0
  receive = 0
  delete = 0
  visibility = 0
  publish = 0
  other = 0
  /** By the URL of the queue. */
  readonly #ofQueues = new Map<string, number>()

  get total(): number {
    return this.send + this.receive + this.delete + this.visibility + this.publish + this.other
  }

  count(kind: CallKind, queueUrl: string | undefined): void {
    this[kind]++
    if (queueUrl !== undefined) this.#ofQueues.set(queueUrl, this.ofQueue(queueUrl) + 1)
  }

  /** Requests for one queue. */
  ofQueue(queueUrl: string): number {
    return this.#ofQueues.get(queueUrl) ?? 0
  }

  /** The queue is gone. */
  forget(queueUrl: string): void {
    this.#ofQueues.delete(queueUrl)
  }
}
