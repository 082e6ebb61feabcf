import type { DeadLetter } from '@msgloop/core'
import type { Command } from 'commander'
import { print } from '../terminal.js'
import { confirmed } from './confirm.js'
import type { DeadLetterFlags, FilterFlags } from './dead-letter-flags.js'
import { deadLetterCommand, deadLettersOf, filterOf, withFilter } from './dead-letter-flags.js'
import { CommandFailure } from './failure.js'
import { withBroker } from './frame.js'
import { wholeNumber } from './numbers.js'
import { printJson } from './output.js'
import { printDeadLetters } from './shown-dead-letter.js'

interface RemoveFlags extends DeadLetterFlags, FilterFlags {
  readonly yes?: boolean
  readonly max: number
}

export function dlqRemoveCommand(): Command {
  return withFilter(
    deadLetterCommand(
      'remove',
      'remove dead letters for good; asks, after it has shown which',
      'remove orders --id 018f2b6e-…',
      "remove orders --error 'Gone*' --until 30d --yes",
    ),
  )
    .option('-n, --max <count>', 'most entries', wholeNumber, 1_000)
    .option('-y, --yes', 'do not ask')
    .addHelpText('after', '\nOnly what was shown is removed, not what died meanwhile.')
    .action(async (queue: string, flags: RemoveFlags) => {
      const filter = filterOf(flags)
      if (Object.keys(filter).length === 0)
        throw new CommandFailure(2, 'say which, such as --id or --error; "dlq purge" removes all')
      await withBroker(flags, async ({ broker, signal }) => {
        const deadLetters = await deadLettersOf({ broker }, queue, flags)
        const shown: DeadLetter<unknown>[] = []
        for await (const entry of deadLetters.list(filter, { limit: flags.max, signal })) shown.push(entry)
        if (!flags.json && shown.length > 0) printDeadLetters(shown)
        if (shown.length > 0) await confirmed(`Remove these ${shown.length} for good?`, flags.yes)
        const removed = shown.length === 0 ? 0 : await deadLetters.remove(shown, { signal })
        if (flags.json) printJson({ removed, ids: shown.map(({ id }) => id) })
        else print(`${removed} removed`)
        if (removed < shown.length && !signal.aborted)
          throw new CommandFailure(1, `${shown.length - removed} of them were gone, or had died again`)
      })
    })
}
