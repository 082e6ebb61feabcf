import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/** The command line as built and as people install it. */
const CLI = fileURLToPath(new URL('../../packages/msgloop/dist/cli.js', import.meta.url))

export interface CliResult {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunningCli {
  /** Resolves with the rest of the first line it has printed. */
  firstLine(): Promise<string>
  /** Stops reading, as `head` does. */
  hangUp(): void
  signal(name: NodeJS.Signals): void
  readonly ended: Promise<CliResult>
}

/** Starts a command; the URL goes by the environment, as it does in a shell. */
export function startCli(url: string, args: readonly string[], input = ''): RunningCli {
  const child = spawn(process.execPath, [CLI, ...args], {
    env: { ...process.env, QUEUE_URL: url, NO_COLOR: '1' },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk
  })
  child.stdin.end(input)
  const ended = once(child, 'close').then(() => ({ exitCode: child.exitCode, stdout, stderr }))
  return {
    async firstLine() {
      while (!stdout.includes('\n') && child.exitCode === null)
        await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])
      return stdout.split('\n', 1)[0] ?? ''
    },
    hangUp: () => void child.stdout.destroy(),
    signal: (name) => void child.kill(name),
    ended,
  }
}

/** Runs a command to its end. @throws when it ends with another exit code */
export async function runCli(
  url: string,
  args: readonly string[],
  { exitCode = 0, input = '' }: { readonly exitCode?: number; readonly input?: string } = {},
): Promise<CliResult> {
  const result = await startCli(url, args, input).ended
  if (result.exitCode !== exitCode)
    throw new Error(
      `msgloop ${args.join(' ')} ended with ${result.exitCode}: ${result.stderr}${result.stdout}`,
    )
  return result
}

/** As `runCli` with `--json`: each line of what it printed. */
export async function runCliJson<T = Readonly<Record<string, unknown>>>(
  url: string,
  args: readonly string[],
  options?: Parameters<typeof runCli>[2],
): Promise<T[]> {
  const { stdout } = await runCli(url, [...args, '--json'], options)
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line): T => JSON.parse(line))
}
