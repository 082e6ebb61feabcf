import { Command } from 'commander'
import { dlqEditCommand } from './dlq-edit.js'
import { dlqListCommand } from './dlq-list.js'
import { dlqPurgeCommand } from './dlq-purge.js'
import { dlqRemoveCommand } from './dlq-remove.js'
import { dlqReplayCommand } from './dlq-replay.js'
import { dlqShowCommand } from './dlq-show.js'
import { EXIT_CODES } from './frame.js'

export function dlqCommand(): Command {
  return new Command('dlq')
    .description('dead letters: list, show, replay, edit, remove')
    .addCommand(dlqListCommand())
    .addCommand(dlqShowCommand())
    .addCommand(dlqReplayCommand())
    .addCommand(dlqEditCommand())
    .addCommand(dlqRemoveCommand())
    .addCommand(dlqPurgeCommand())
    .addHelpText('after', EXIT_CODES)
}
