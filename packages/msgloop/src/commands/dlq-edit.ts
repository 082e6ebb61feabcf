import type { DeadLetterEdit } from '@msgloop/core'
import type { Command } from 'commander'
import { print } from '../terminal.js'
import type { DeadLetterFlags } from './dead-letter-flags.js'
import { deadLetterCommand, deadLettersOf } from './dead-letter-flags.js'
import { CommandFailure } from './failure.js'
import { withBroker } from './frame.js'
import { nameValue } from './name-value.js'
import { printJson } from './output.js'
import { readStdin } from './read-stdin.js'

interface EditFlags extends DeadLetterFlags {
  readonly body?: string
  readonly header: Record<string, string>
}

export function dlqEditCommand(): Command {
  return deadLetterCommand(
    'edit',
    'send a dead letter again as a new message, changed, and remove it',
    `edit orders 018f2b6e-… --body '{"id":7,"sku":"mended"}'`,
    'show orders 018f2b6e-… --json | jq .body | … | msgloop dlq edit orders 018f2b6e-… --body -',
  )
    .argument('<id>', 'of the message')
    .option('--body <json>', 'the new body; - reads it from standard input; default: the original bytes')
    .option('--header <name=value>', 'all its headers; default: the original ones', nameValue, {})
    .addHelpText(
      'after',
      `
The new message has an id of its own, names the old one as its cause, and begins with attempt 1. Killed in between, both
exist; the same edit again has the same id.`,
    )
    .action(async (queue: string, id: string, flags: EditFlags) => {
      const change: DeadLetterEdit<unknown> = {
        ...(flags.body !== undefined && { body: await bodyOf(flags.body) }),
        ...(Object.keys(flags.header).length > 0 && { headers: flags.header }),
      }
      if (Object.keys(change).length === 0)
        throw new CommandFailure(2, 'give --body or --header; "dlq replay" sends it as it is')
      await withBroker(flags, async ({ broker, signal }) => {
        const deadLetters = await deadLettersOf({ broker }, queue, flags)
        const newId = await deadLetters.edit(id, change, { signal })
        if (flags.json) printJson({ id: newId, editedFrom: id })
        else print(newId)
      })
    })
}

async function bodyOf(given: string): Promise<unknown> {
  const text = given === '-' ? (await readStdin()).toString() : given
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new CommandFailure(2, `the body is not JSON: ${(error as Error).message}`)
  }
}
