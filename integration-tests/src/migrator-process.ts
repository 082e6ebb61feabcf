import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export interface MigratorProcess {
  /** Resolves when it has told of so many moved messages, or has ended. */
  reached(moved: number): Promise<void>
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
  /** Resolves with its exit code. */
  end(): Promise<number | null>
}

const MIGRATOR = fileURLToPath(new URL('../dist/migrator.js', import.meta.url))

/** Starts `migrator.ts` as built. */
export function startMigrator(from: string, to: string, queue: string, state: string): MigratorProcess {
  const child = fork(MIGRATOR, [from, to, queue, state], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const exited = once(child, 'exit')
  return {
    reached: (moved) =>
      new Promise((resolve) => {
        child.on('message', (progress: { moved: number }) => {
          if (progress.moved >= moved) resolve()
        })
        void exited.then(() => resolve())
      }),
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
    async end() {
      const [code] = await exited
      return code as number | null
    },
  }
}
