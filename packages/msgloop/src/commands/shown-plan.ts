import type { PlannedObject, TopologyPlan } from '@msgloop/core'
import { describeDrift } from '@msgloop/core'
import { paint, print } from '../terminal.js'

const SIGNS: Readonly<Record<PlannedObject['action'], string>> = {
  keep: paint.dim('='),
  create: paint.green('+'),
  refuse: paint.red('!'),
}

export function printPlan({ objects }: TopologyPlan): void {
  for (const { kind, name, action, drifts } of objects) {
    print(`${SIGNS[action]} ${kind} ${paint.bold(name)}`)
    for (const drift of drifts) print(paint.dim(`    ${describeDrift(drift)}`))
  }
}

export function countOf({ objects }: TopologyPlan, action: PlannedObject['action']): number {
  return objects.filter((each) => each.action === action).length
}
