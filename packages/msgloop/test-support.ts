import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

export interface CliRun {
  /** `null` when a signal ended it. */
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

const CLI = fileURLToPath(new URL('./dist/cli.js', import.meta.url))

/** Runs the built CLI to its end. `onOutput` is called with all of stdout so far, and how to signal it. */
export async function cli(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
  onOutput: (stdout: string, signal: (name: NodeJS.Signals) => void) => void = () => {},
  stdin?: string,
): Promise<CliRun> {
  const { NO_COLOR: _, FORCE_COLOR: __, ...inherited } = process.env
  const child = spawn(process.execPath, [CLI, ...args], {
    env: { ...inherited, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  child.stdin.end(stdin)
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk
    onOutput(stdout, (name) => child.kill(name))
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk
  })
  await once(child, 'close')
  return { exitCode: child.exitCode, stdout, stderr }
}

/** A port of this machine on which nobody listens. */
export async function closedPort(): Promise<number> {
  const { createServer } = await import('node:net')
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (typeof address !== 'object' || address === null) throw new Error('no port was given')
  return address.port
}
