import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { HoldingProcess } from './harness.js'

/** Starts a Node program that calls `holdMessage`, for a harness's `spawnConsumer`. */
export function spawnHolder(file: string, args: readonly string[]): HoldingProcess {
  const child = spawn(process.execPath, [file, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  const ended = new Promise<NodeJS.Signals | number>((resolve) => {
    child.once('exit', (code, signal) => resolve(signal ?? code ?? 0))
  })
  const started = new Promise<string>((resolve, reject) => {
    child.once('error', reject)
    child.stderr.on('data', (chunk) => {
      output += String(chunk)
    })
    createInterface(child.stdout).on('line', (line) => {
      const match = /^started (.+)$/.exec(line)
      if (match?.[1]) resolve(match[1])
    })
    void ended.then((end) =>
      reject(new Error(`the process ended with ${end} before it held a message: ${output}`)),
    )
  })
  started.catch(() => {})
  return {
    started,
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
    async terminate() {
      child.kill('SIGTERM')
      return await ended
    },
  }
}
