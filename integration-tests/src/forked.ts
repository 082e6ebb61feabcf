import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** A program of this folder in a process of its own. */
export interface Forked {
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
  /** Disconnects, which lets it end by itself; resolves with the exit code. */
  end(): Promise<number | null>
}

/** Starts `<name>.ts` as built; resolves when it has told that it is ready. */
export async function forkProgram(name: string, ...args: readonly string[]): Promise<Forked> {
  const path = fileURLToPath(new URL(`../dist/${name}.js`, import.meta.url))
  const child = fork(path, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const exited = once(child, 'exit')
  const early = exited.then(([code]) => {
    throw new Error(`${name} ended with ${code} before it was ready`)
  })
  await Promise.race([once(child, 'message'), early])
  early.catch(() => {})
  return {
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
    async end() {
      if (child.connected) child.disconnect()
      const [code] = await exited
      return code as number | null
    },
  }
}
