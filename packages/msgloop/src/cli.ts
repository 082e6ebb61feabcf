#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import tab from '@bomb.sh/tab/commander'
import { Command, CommanderError } from 'commander'
import { demoCommand } from './commands/demo.js'
import { dlqCommand } from './commands/dlq.js'
import { doctorCommand } from './commands/doctor.js'
import { CommandFailure, messageOf } from './commands/failure.js'
import { migrateCommand } from './commands/migrate.js'
import { peekCommand } from './commands/peek.js'
import { receiveCommand } from './commands/receive.js'
import { sendCommand } from './commands/send.js'
import { statsCommand } from './commands/stats.js'
import { topologyCommand } from './commands/topology.js'
import { complain } from './terminal.js'

const manifest: { readonly version: string } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
)

const program = new Command('msgloop')
  .description('One portable message-queue interface over real brokers')
  .version(manifest.version)
  .addCommand(sendCommand())
  .addCommand(receiveCommand())
  .addCommand(peekCommand())
  .addCommand(statsCommand())
  .addCommand(dlqCommand())
  .addCommand(topologyCommand())
  .addCommand(migrateCommand())
  .addCommand(doctorCommand())
  .addCommand(demoCommand())

tab(program, { completionCommandName: 'completion' })

// Whoever reads our output may stop reading: `msgloop demo | head`.
process.stdout.on('error', () => {})

// Node's own form has a process id, and advice that helps nobody here.
process.removeAllListeners('warning').on('warning', ({ message }) => complain(`warning: ${message}`))

throwInsteadOfExit(program)
try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = exitCodeAfter(error)
}

function throwInsteadOfExit(command: Command): void {
  command.exitOverride()
  for (const each of command.commands) throwInsteadOfExit(each)
}

/** What commander has to say it has said by then. */
function exitCodeAfter(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  complain(messageOf(error))
  return error instanceof CommandFailure ? error.exitCode : 1
}
