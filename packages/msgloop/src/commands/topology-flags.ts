import type { Command } from 'commander'
import type { FrameOptions } from './frame.js'
import { brokerCommand } from './frame.js'

export interface TopologyFlags extends FrameOptions {
  readonly file: string
}

const FORMAT = `
The file is JSON, or a .js or .mjs module that exports the same or what defineQueue() made:
  {
    "queues": { "orders": { "lease": "30s", "deadLetterRetention": "30d" }, "mails": {} },
    "topics": { "events": { "subscriptions": { "mail": { "patterns": ["order.*"] } } } }
  }`

export function topologyStep(name: string, description: string, ...examples: readonly string[]): Command {
  return brokerCommand(name, description, ...examples.map((example) => `topology ${example}`))
    .requiredOption('-f, --file <path>', 'what is to be there: .json, .js or .mjs')
    .addHelpText('after', FORMAT)
}
