import type { Queue } from '@msgloop/core'
import type { Ledger } from './ledger.js'

/** Senders that keep going until stopped. */
export interface Load {
  readonly sent: number
  stop(): Promise<void>
}

/** Sends numbered messages, `lanes` at a time, each lane waiting for its outcome before the next. */
export function startLoad(queue: Queue<{ n: number }>, ledger: Ledger, prefix: string, lanes = 32): Load {
  return startLanes((n) => ledger.send(queue, { n }, `${prefix}-${n}`), lanes)
}

/** Calls `each` with 0, 1, 2 and so on, `lanes` at a time. */
export function startLanes(each: (n: number) => Promise<void>, lanes: number): Load {
  let n = 0
  let running = true
  const lane = async (): Promise<void> => {
    while (running) {
      await each(n++)
      // A real producer does something between two sends; this also bounds what a run leaves behind.
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  const all = Promise.all(Array.from({ length: lanes }, lane))
  return {
    get sent() {
      return n
    },
    async stop() {
      running = false
      await all
    },
  }
}
