import type { Command } from 'commander'
import { print } from '../terminal.js'
import { readTopologyFile } from '../topology-file.js'
import { withBroker } from './frame.js'
import { printJson } from './output.js'
import { countOf, printPlan } from './shown-plan.js'
import type { TopologyFlags } from './topology-flags.js'
import { topologyStep } from './topology-flags.js'

export function topologyApplyCommand(): Command {
  return topologyStep(
    'apply',
    'create what is missing; nothing at all when anything differs',
    'apply --file topology.json',
  ).action(async (flags: TopologyFlags) => {
    const wanted = await readTopologyFile(flags.file)
    await withBroker(flags, async ({ broker }) => {
      const plan = await broker.topology.apply(wanted)
      if (flags.json) printJson(plan)
      else {
        printPlan(plan)
        print(`${countOf(plan, 'create')} created, ${countOf(plan, 'keep')} as they were`)
      }
    })
  })
}
