import type { MsgloopError } from './error.js'

/** A promise that is settled from outside, once, and that nobody has to listen to. */
export class Gate {
  readonly promise: Promise<void>
  resolve: () => void = () => {}
  reject: (error: MsgloopError) => void = () => {}

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.reject = reject
    })
    this.promise.catch(() => {})
  }
}
