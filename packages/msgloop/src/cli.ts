#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { demoCommand } from './commands/demo.js'
import { CommandFailure, messageOf } from './commands/failure.js'
import { complain } from './terminal.js'

const manifest: { readonly version: string } = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
)

const program = new Command('msgloop')
  .description('One portable message-queue interface over real brokers')
  .version(manifest.version)
  .addCommand(demoCommand())

// Whoever reads our output may stop reading: `msgloop demo | head`.
process.stdout.on('error', () => {})

for (const command of [program, ...program.commands]) command.exitOverride()
try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = exitCodeAfter(error)
}

/** What commander has to say it has said by then. */
function exitCodeAfter(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  complain(messageOf(error))
  return error instanceof CommandFailure ? error.exitCode : 1
}
