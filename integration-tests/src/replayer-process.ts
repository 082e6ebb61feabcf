import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export interface ReplayerProcess {
  /** How many entries it has told of. */
  readonly replayed: number
  /** Resolves when it has told of so many; rejects when it ends before. */
  reached(count: number): Promise<void>
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
}

const REPLAYER = fileURLToPath(new URL('../dist/replayer.js', import.meta.url))

/** Starts `replayer.ts` as built. */
export function startReplayer(url: string, queue: string, rate: number): ReplayerProcess {
  const child = fork(REPLAYER, [url, queue, String(rate)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const exited = once(child, 'exit')
  let replayed = 0
  child.on('message', () => {
    replayed++
  })
  return {
    get replayed() {
      return replayed
    },
    reached: (count) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (replayed >= count) resolve()
        }
        child.on('message', look)
        look()
        exited.then(
          ([code, signal]) => reject(new Error(`it ended (${code ?? signal}) after ${replayed} entries`)),
          reject,
        )
      }),
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
  }
}
