import pc from 'picocolors'

export type Paint = ReturnType<typeof pc.createColors>

/** Colours on a terminal only; `NO_COLOR` and `FORCE_COLOR` decide otherwise. */
export function wantsColour(isTerminal: boolean, env: NodeJS.ProcessEnv): boolean {
  if (env.NO_COLOR) return false
  if (env.FORCE_COLOR) return env.FORCE_COLOR !== '0'
  return isTerminal && env.TERM !== 'dumb'
}

export const paint: Paint = pc.createColors(wantsColour(process.stdout.isTTY === true, process.env))

export function print(line = ''): void {
  process.stdout.write(`${line}\n`)
}

/** Whether all that was printed is written; false when whoever read it is gone, as in `| head`. */
export function flushed(): Promise<boolean> {
  return new Promise((resolve) => {
    if (process.stdout.destroyed || process.stdout.errored) resolve(false)
    else process.stdout.write('', (error) => resolve(!error))
  })
}

/** One line for whoever called: what went wrong and what to do. */
export function complain(message: string): void {
  process.stderr.write(`msgloop: ${message.replaceAll(/\s*\n\s*/g, ' ')}\n`)
}
