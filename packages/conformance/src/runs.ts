import type { ConsumeOptions, Consumer, Message, MessageSource } from '@msgloop/core'

/** One run of a handler. Times are epoch ms. */
export interface Run<T> {
  readonly id: string
  readonly body: T
  readonly attempt: number
  readonly deliveries: number
  readonly startedAt: number
  readonly message: Message<T>
  /** `undefined` while it runs. */
  endedAt: number | undefined
}

/** What a recorded handler does; `nth` counts the runs of this message here, from 1. */
export type Recorded<T> = (body: T, message: Message<T>, nth: number) => unknown

/** A consumer whose handler runs are written down. */
export interface Runs<T> {
  readonly consumer: Consumer
  /** In order of start. */
  readonly list: readonly Run<T>[]
  /** Ids in order of start. */
  readonly ids: () => string[]
  readonly of: (id: string) => Run<T>[]
  /** Most handlers that ran at once. */
  readonly most: () => number
  /** Trouble that was told to `onError`. */
  readonly troubles: readonly unknown[]
}

export function recordRuns<T>(
  queue: MessageSource<T>,
  handler: Recorded<T> = () => {},
  options: ConsumeOptions = {},
): Runs<T> {
  const list: Run<T>[] = []
  const counts = new Map<string, number>()
  const troubles: unknown[] = []
  let running = 0
  let most = 0
  const consumer = queue.consume(
    async (body, message) => {
      const run: Run<T> = {
        id: message.id,
        body,
        attempt: message.attempt,
        deliveries: message.deliveries,
        startedAt: Date.now(),
        message,
        endedAt: undefined,
      }
      list.push(run)
      running++
      most = Math.max(most, running)
      const nth = (counts.get(run.id) ?? 0) + 1
      counts.set(run.id, nth)
      try {
        return await handler(body, message, nth)
      } finally {
        run.endedAt = Date.now()
        running--
      }
    },
    { onError: (error) => void troubles.push(error), ...options },
  )
  consumer.ready.catch((error: unknown) => void troubles.push(error))
  return {
    consumer,
    list,
    ids: () => list.map((run) => run.id),
    of: (id) => list.filter((run) => run.id === id),
    most: () => most,
    troubles,
  }
}
