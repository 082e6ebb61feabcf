import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { ReplayOptions } from '@msgloop/core'

export interface ReplayerProcess {
  /** How many entries it has told of. */
  readonly replayed: number
  /** Resolves when it has told of so many; rejects when it ends before. */
  reached(count: number): Promise<void>
  /** Resolves when its canary is out and it waits for the outcome; rejects when it ends before. */
  waiting(): Promise<void>
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
}

const REPLAYER = fileURLToPath(new URL('../dist/replayer.js', import.meta.url))

/** Starts `replayer.ts` as built. */
export function startReplayer(
  url: string,
  queue: string,
  options: Pick<ReplayOptions, 'rate' | 'canary' | 'canaryWait'>,
): ReplayerProcess {
  const child = fork(REPLAYER, [url, queue, JSON.stringify(options)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const exited = once(child, 'exit')
  let replayed = 0
  let isWaiting = false
  child.on('message', (message: { readonly phase?: string }) => {
    if (message.phase === undefined) replayed++
    else isWaiting = message.phase === 'waiting'
  })
  const when = (holds: () => boolean): Promise<void> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        if (holds()) resolve()
      }
      child.on('message', look)
      look()
      exited.then(
        ([code, signal]) => reject(new Error(`it ended (${code ?? signal}) after ${replayed} entries`)),
        reject,
      )
    })
  return {
    get replayed() {
      return replayed
    },
    reached: (count) => when(() => replayed >= count),
    waiting: () => when(() => isWaiting),
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
  }
}
