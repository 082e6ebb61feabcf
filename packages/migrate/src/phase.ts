/**
 * How far a migration has come; the bridge's state file and the application's broker follow the same words.
 *
 * `source`: nothing has changed. `mirror`: the target is ready and consumers read both sides. `drain`: producers send to
 * the target, a bridge moves what is left at the source. `target`: the source is not used any more.
 */
export type Phase = 'source' | 'mirror' | 'drain' | 'target'

export const PHASES: readonly Phase[] = ['source', 'mirror', 'drain', 'target']

export type SideName = 'from' | 'to'

/** Which side producers send to, and which sides consumers read. */
export interface Route {
  readonly send: SideName
  readonly read: readonly SideName[]
}

const ROUTES: Readonly<Record<Phase, Route>> = {
  source: { send: 'from', read: ['from'] },
  mirror: { send: 'from', read: ['from', 'to'] },
  drain: { send: 'to', read: ['from', 'to'] },
  target: { send: 'to', read: ['to'] },
}

/**
 * Where order by key is kept, all messages of a key take one way: by the bridge, until the last of them has passed it.
 * Sent past it they would overtake, read on both sides they would run side by side.
 */
const ORDERED_ROUTES: Readonly<Record<Phase, Route>> = {
  ...ROUTES,
  mirror: { send: 'from', read: ['from'] },
  drain: { send: 'from', read: ['to'] },
}

export function routeOf(phase: Phase, ordered: boolean): Route {
  return (ordered ? ORDERED_ROUTES : ROUTES)[phase]
}
