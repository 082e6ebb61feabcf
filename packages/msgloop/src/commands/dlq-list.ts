import type { DeadLetter } from '@msgloop/core'
import { MsgloopError } from '@msgloop/core'
import type { Command } from 'commander'
import { paint, print } from '../terminal.js'
import type { DeadLetterFlags, FilterFlags } from './dead-letter-flags.js'
import { deadLetterCommand, deadLettersOf, filterOf, withFilter } from './dead-letter-flags.js'
import { withBroker } from './frame.js'
import { wholeNumber } from './numbers.js'
import { printJson } from './output.js'
import { deadLetterJson, printDeadLetters } from './shown-dead-letter.js'

interface ListFlags extends DeadLetterFlags, FilterFlags {
  readonly max: number
}

export function dlqListCommand(): Command {
  return withFilter(
    deadLetterCommand(
      'list',
      'look at dead letters, oldest first; nothing is taken',
      "list orders --error 'Timeout*' --since 2h",
      'list orders --json | jq -r .id',
    ),
  )
    .option('-n, --max <count>', 'most entries', wholeNumber, 100)
    .addHelpText('after', '\nWith --json each entry is one JSON document on a line of its own.')
    .action(async (queue: string, flags: ListFlags) => {
      await withBroker(flags, async ({ broker, signal }) => {
        const deadLetters = await deadLettersOf({ broker }, queue, flags)
        const entries: DeadLetter<unknown>[] = []
        try {
          for await (const entry of deadLetters.list(filterOf(flags), { limit: flags.max, signal })) {
            if (flags.json) printJson(deadLetterJson(entry))
            else entries.push(entry)
          }
        } catch (error) {
          // It is made for the first entry that is quarantined.
          const none = error instanceof MsgloopError && error.code === 'NOT_FOUND'
          if (!(flags.quarantine && none)) throw error
        }
        if (flags.json) return
        if (entries.length > 0) printDeadLetters(entries)
        print(paint.dim(entries.length === flags.max ? `the first ${flags.max}` : `${entries.length} in all`))
      })
    })
}
