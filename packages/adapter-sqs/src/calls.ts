/** Requests made, which is what SQS bills: each is one, however many messages are in it. */
export interface Calls {
  readonly send: number
  readonly receive: number
  readonly delete: number
  readonly visibility: number
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
  other = 0

  get total(): number {
    return this.send + this.receive + this.delete + this.visibility + this.other
  }
}
