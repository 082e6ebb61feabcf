import { Command } from 'commander'
import { EXIT_CODES } from './frame.js'
import { topologyApplyCommand } from './topology-apply.js'
import { topologyPlanCommand } from './topology-plan.js'
import { topologyVerifyCommand } from './topology-verify.js'

export function topologyCommand(): Command {
  return new Command('topology')
    .description('queues and topics of a file against those of the broker: plan, apply, verify')
    .addCommand(topologyPlanCommand())
    .addCommand(topologyApplyCommand())
    .addCommand(topologyVerifyCommand())
    .addHelpText('after', EXIT_CODES)
}
