import type { Command } from 'commander'
import type { DeadLetterFlags } from './dead-letter-flags.js'
import { deadLetterCommand, deadLettersOf } from './dead-letter-flags.js'
import { CommandFailure } from './failure.js'
import { withBroker } from './frame.js'
import { printJson } from './output.js'
import { deadLetterJson, printDeadLetter } from './shown-dead-letter.js'

export function dlqShowCommand(): Command {
  return deadLetterCommand(
    'show',
    'all there is to know of one dead letter: why, every attempt, its body',
    'show orders 018f2b6e-…',
  )
    .argument('<id>', 'of the message')
    .action(async (queue: string, id: string, flags: DeadLetterFlags) => {
      await withBroker(flags, async ({ broker, signal }) => {
        const deadLetters = await deadLettersOf({ broker }, queue, flags)
        for await (const entry of deadLetters.list({ id }, { limit: 1, signal })) {
          if (flags.json) printJson(deadLetterJson(entry))
          else printDeadLetter(entry)
          return
        }
        throw new CommandFailure(1, `"${deadLetters.queue.name}" has no entry "${id}"`)
      })
    })
}
