import confirm from '@inquirer/confirm'
import { CommandFailure } from './failure.js'

/** Asks on a terminal; elsewhere `--yes` is needed. @throws CommandFailure when the answer is no */
export async function confirmed(question: string, yes: boolean | undefined): Promise<void> {
  if (yes) return
  if (process.stdin.isTTY !== true || process.stderr.isTTY !== true)
    throw new CommandFailure(2, `${question} Nobody is there to ask; give --yes`)
  if (!(await confirm({ message: question, default: false }, { output: process.stderr })))
    throw new CommandFailure(1, 'nothing was done')
}
