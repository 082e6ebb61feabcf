import { describeDrift } from '@msgloop/core'
import type { Command } from 'commander'
import { print } from '../terminal.js'
import { readTopologyFile } from '../topology-file.js'
import { CommandFailure } from './failure.js'
import { withBroker } from './frame.js'
import { printJson } from './output.js'
import type { TopologyFlags } from './topology-flags.js'
import { topologyStep } from './topology-flags.js'

export function topologyVerifyCommand(): Command {
  return topologyStep(
    'verify',
    'fail when anything is missing or differs, field by field; for a deployment to run first',
    'verify --file topology.json && node app.js',
  ).action(async (flags: TopologyFlags) => {
    const wanted = await readTopologyFile(flags.file)
    await withBroker(flags, async ({ broker }) => {
      const drifts = await broker.topology.verify(wanted)
      if (flags.json) printJson({ drifts })
      else if (drifts.length === 0) print('all is as declared')
      else for (const drift of drifts) print(describeDrift(drift))
      if (drifts.length > 0) throw new CommandFailure(1, 'not all is as declared')
    })
  })
}
