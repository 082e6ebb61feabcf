import type { Lane, QueueSpec, Topology } from './driver.js'

/** A queue with lanes as the core knows it; drivers are given the queues it is made of. */
export interface LanedSpec extends QueueSpec {
  readonly lanes: true
}

/** Highest first. */
export const LANES: readonly Lane[] = ['high', 'normal', 'low']

/** The queue of one lane. */
export function laneName(name: string, lane: Lane = 'normal'): string {
  return lane === 'normal' ? name : `${name}.${lane}`
}

/** Highest first. */
export function laneNames(name: string): string[] {
  return LANES.map((lane) => laneName(name, lane))
}

/** The queues a topology is made of, highest lane first; `undefined` where it has no lanes. */
export function laneSpecs(topology: Topology): QueueSpec[] | undefined {
  if (!isLaned(topology)) return undefined
  const { lanes: _, ...spec } = topology
  return laneNames(spec.name).map((name) => ({ ...spec, name }))
}

function isLaned(topology: Topology): topology is LanedSpec {
  return 'lanes' in topology
}
