import type { Command } from 'commander'
import { print } from '../terminal.js'
import { confirmed } from './confirm.js'
import type { DeadLetterFlags } from './dead-letter-flags.js'
import { deadLetterCommand, deadLettersOf } from './dead-letter-flags.js'
import { withBroker } from './frame.js'
import { printJson, shown } from './output.js'

interface PurgeFlags extends DeadLetterFlags {
  readonly yes?: boolean
}

export function dlqPurgeCommand(): Command {
  return deadLetterCommand('purge', 'remove all dead letters for good; asks', 'purge orders --yes')
    .option('-y, --yes', 'do not ask')
    .action(async (queue: string, flags: PurgeFlags) => {
      await withBroker(flags, async ({ broker }) => {
        const deadLetters = await deadLettersOf({ broker }, queue, flags)
        const { name } = deadLetters.queue
        const { ready } = await deadLetters.queue.stats()
        await confirmed(`Remove all of "${name}" (${shown(ready)}) for good?`, flags.yes)
        const purged = await deadLetters.purge()
        if (flags.json) printJson({ queue: name, purged: purged ?? null })
        else print(`${shown(purged)} removed`)
      })
    })
}
