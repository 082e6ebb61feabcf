import type { QueueDefinition } from '@msgloop/core'
import { type Held, take } from '@msgloop/core/engine'
import { Digest, fingerprint } from './digest.js'
import { readLeftBehind, readMoved } from './ledger.js'
import { queuesOn, type Side } from './side.js'

/** What became of the messages of one queue. Ids are listed up to a bound, numbers are of all. */
export interface QueueVerdict {
  readonly queue: string
  /** Moved, by the ledger, each id once. */
  readonly moved: number
  /** Found in the queue at the target. */
  readonly found: number
  /** Moved and not found: consumed since, or lost. `lost` says which where `consumed` was given. */
  readonly gone: number
  readonly lost: Findings
  readonly duplicated: Findings
  readonly altered: Findings
  readonly leftBehind: Findings
  /** Digest over ids and bodies of what was moved, and of what was found of it, each id once. */
  readonly movedDigest: string
  readonly foundDigest: string
}

export interface Findings {
  readonly count: number
  readonly ids: readonly string[]
}

export interface VerifyOptions {
  /** Whether a message that is not at the target any more was handled: asks an inbox, or the application's own books. */
  readonly consumed?: (id: string, queue: string) => boolean | Promise<boolean>
  readonly signal?: AbortSignal
}

export interface MigrationVerdict {
  readonly ok: boolean
  readonly queues: readonly QueueVerdict[]
}

const LISTED = 100

/**
 * Compares what the ledger says was moved with what is at the target. Give it a target that nobody consumes from
 * meanwhile, or `consumed`: else a message that was handled looks like one that is lost.
 */
export async function verifyMoved(
  to: Side,
  definitions: readonly QueueDefinition<unknown>[],
  folder: string,
  { consumed, signal }: VerifyOptions = {},
): Promise<MigrationVerdict> {
  const moved = await movedByQueue(folder)
  const left = new Map<string, Set<string>>()
  for await (const { queue, id } of readLeftBehind(folder)) setOf(left, queue).add(id)
  const queues: QueueVerdict[] = []
  for (const definition of definitions)
    for (const resolved of await queuesOn(to, definition)) {
      const { name } = resolved.spec
      const found = new Map<string, { print: string; times: number }>()
      await take(to.context, resolved, signal, async (batch: readonly Held[]) => {
        for (const { delivery } of batch) {
          const { message } = delivery
          const before = found.get(message.id)
          if (before) before.times++
          else found.set(message.id, { print: fingerprint(message), times: 1 })
        }
        return true
      })
      queues.push(await judge(name, moved.get(name) ?? new Map(), found, setOf(left, name), consumed))
    }
  const ok = queues.every(
    ({ gone, lost, duplicated, altered, leftBehind }) =>
      (consumed ? lost.count === 0 : gone === 0) && duplicated.count + altered.count + leftBehind.count === 0,
  )
  return { ok, queues }
}

async function judge(
  queue: string,
  moved: ReadonlyMap<string, string>,
  found: ReadonlyMap<string, { readonly print: string; readonly times: number }>,
  left: ReadonlySet<string>,
  consumed: VerifyOptions['consumed'],
): Promise<QueueVerdict> {
  const movedDigest = new Digest()
  const foundDigest = new Digest()
  const [lost, duplicated, altered]: [string[], string[], string[]] = [[], [], []]
  let gone = 0
  for (const [id, print] of moved) {
    movedDigest.add(print)
    const there = found.get(id)
    if (there) {
      foundDigest.add(there.print)
      if (there.print !== print) altered.push(id)
      if (there.times > 1) duplicated.push(id)
      continue
    }
    gone++
    if (consumed && !(await consumed(id, queue))) lost.push(id)
  }
  return {
    queue,
    moved: moved.size,
    found: found.size,
    gone,
    lost: findings(lost),
    duplicated: findings(duplicated),
    altered: findings(altered),
    // What was moved at a later try is not left behind.
    leftBehind: findings([...left].filter((id) => !moved.has(id))),
    movedDigest: movedDigest.toString(),
    foundDigest: foundDigest.toString(),
  }
}

async function movedByQueue(folder: string): Promise<Map<string, Map<string, string>>> {
  const all = new Map<string, Map<string, string>>()
  for await (const { queue, id, print } of readMoved(folder)) {
    const known = all.get(queue)
    if (known) known.set(id, print)
    else all.set(queue, new Map([[id, print]]))
  }
  return all
}

function setOf(sets: Map<string, Set<string>>, name: string): Set<string> {
  const known = sets.get(name)
  if (known) return known
  const made = new Set<string>()
  sets.set(name, made)
  return made
}

const findings = (ids: readonly string[]): Findings => ({ count: ids.length, ids: ids.slice(0, LISTED) })
