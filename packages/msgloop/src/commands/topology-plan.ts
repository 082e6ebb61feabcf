import type { Command } from 'commander'
import { print } from '../terminal.js'
import { readTopologyFile } from '../topology-file.js'
import { CommandFailure } from './failure.js'
import { withBroker } from './frame.js'
import { printJson } from './output.js'
import { countOf, printPlan } from './shown-plan.js'
import type { TopologyFlags } from './topology-flags.js'
import { topologyStep } from './topology-flags.js'

export function topologyPlanCommand(): Command {
  return topologyStep(
    'plan',
    'what apply would create, and what it would refuse; writes nothing',
    'plan --file topology.json',
  ).action(async (flags: TopologyFlags) => {
    const wanted = await readTopologyFile(flags.file)
    await withBroker(flags, async ({ broker }) => {
      const plan = await broker.topology.plan(wanted)
      if (flags.json) printJson(plan)
      else {
        printPlan(plan)
        print(
          `${countOf(plan, 'create')} to create, ${countOf(plan, 'keep')} as they are, ${countOf(plan, 'refuse')} differ`,
        )
      }
      const refused = countOf(plan, 'refuse')
      if (refused > 0) throw new CommandFailure(1, `${refused} differ, and would be refused`)
    })
  })
}
