import type { ChildProcess } from 'node:child_process'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export interface WorkerProcess {
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
  /** Lets it close its broker; resolves with the exit code. */
  end(): Promise<number | null>
}

const WORKER = fileURLToPath(new URL('../dist/worker.js', import.meta.url))

/** Starts `worker.ts` as built; resolves when it consumes. */
export async function startWorker(
  url: string,
  queue: string,
  processed: (id: string) => void,
  concurrency = 8,
): Promise<WorkerProcess> {
  const child = fork(WORKER, [url, queue, String(concurrency)], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const exited = once(child, 'exit')
  const ready = new Promise<void>((resolve, reject) => {
    child.on('message', (message: { id?: string; ready?: boolean }) => {
      if (message.id !== undefined) processed(message.id)
      if (message.ready) resolve()
    })
    exited.then(([code]) => reject(new Error(`the worker ended with ${code} before it was ready`)), reject)
  })
  await ready
  return {
    async kill() {
      child.kill('SIGKILL')
      await exited
    },
    end: () => ended(child, exited),
  }
}

async function ended(child: ChildProcess, exited: Promise<unknown[]>): Promise<number | null> {
  child.disconnect()
  const [code] = await exited
  return code as number | null
}
