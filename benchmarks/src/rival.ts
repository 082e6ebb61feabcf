/** Another way to do the same on the same broker, on a queue of its own: a yardstick. */
export interface Rival {
  readonly name: string
  /** Sends `count` messages, `window` at once, each confirmed. */
  send(count: number, window: number, body: unknown): Promise<void>
  /** Handles and acks `count` messages, about `prefetch` at once; resolves with how to close. */
  consume(count: number, prefetch: number, handle: (body: unknown) => void): Promise<() => Promise<void>>
  purge(): Promise<void>
  close(): Promise<void>
}

/** Runs `count` calls, `window` at once, each wave when the one before has ended. */
export async function inWaves(count: number, window: number, call: () => Promise<unknown>): Promise<void> {
  for (let sent = 0; sent < count; sent += window)
    await Promise.all(Array.from({ length: Math.min(window, count - sent) }, call))
}
