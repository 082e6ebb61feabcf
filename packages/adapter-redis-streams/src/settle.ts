import { DriverError, type Failure, type Settlement, type Verdict } from '@msgloop/core/driver'
import { notFound } from './errors.js'
import { type Keys, keysOf } from './keys.js'
import { type Packable, pack } from './msgpack.js'
import type { Nodes } from './nodes.js'
import { readSettled } from './replies.js'
import { SEND } from './send-script.js'
import { sendKeys } from './sender.js'
import { SETTLE } from './settle-scripts.js'
import type { Token } from './token.js'
import { changeFor } from './wire.js'

const RELEASE = 1
const RETRY = 2
const MOVE = 3
/** For how long a second copy of the same move to another node is dropped. */
const MOVE_WINDOW_MS = 86_400_000

/** Where one receiver settles. */
export interface Place {
  readonly nodes: Nodes
  readonly prefix: string
  readonly queue: string
  readonly keys: Keys
  /** Whether the keys of another queue may be on another node. */
  readonly cluster: boolean
  /** When this driver last looked for what was taken without a lease, by queue; of the clock's `elapsed`. */
  readonly strayed: Map<string, number>
  /** Called when messages whose turn it was not are receivable now. */
  readonly passed?: () => void
}

type Move = Extract<Verdict, { kind: 'move' }>

interface Item {
  readonly index: number
  readonly token: Token
  readonly verdict: Verdict
}

/** Settles a batch, each item by itself. Never rejects. */
export async function settle(
  place: Place,
  batch: readonly Settlement<Token>[],
  signal: AbortSignal | undefined,
): Promise<readonly Failure[]> {
  const staying: Item[] = []
  const moving: Item[] = []
  for (const [index, { token, verdict }] of batch.entries()) {
    if (token.settled) continue
    token.settled = true
    const to = verdict.kind === 'move' ? moving : staying
    to.push({ index, token, verdict })
  }
  // Apart: who may not write to the other queue can still ack.
  const failures = await Promise.all([
    settleAll(place, staying, signal),
    elsewhere(place, moving) ? moveElsewhere(place, moving, signal) : settleAll(place, moving, signal),
  ])
  const all = failures.flat()
  for (const { index } of all) {
    const token = batch[index]?.token
    if (token) token.settled = false
  }
  return all
}

/** In one step of the server. */
async function settleAll(
  place: Place,
  items: readonly Item[],
  signal: AbortSignal | undefined,
): Promise<readonly Failure[]> {
  if (items.length === 0) return []
  const { nodes, prefix, queue, keys } = place
  const byHolding = new Map<string, Item[]>()
  for (const item of items) {
    if (item.verdict.kind !== 'ack') continue
    const { holding } = item.token
    const same = byHolding.get(holding)
    if (same) same.push(item)
    else byHolding.set(holding, [item])
  }
  const acks = [...byHolding.values()].flat()
  const others = items.filter(({ verdict }) => verdict.kind !== 'ack')
  const names = [keys.stream, keys.leases, keys.settings, keys.delayed, keys.turns, keys.waiting]
  const targets: string[] = []
  const targetOf = ({ to, topic }: Move): number => {
    const { stream, settings } = keysOf(prefix, to, topic)
    const known = targets.indexOf(stream)
    if (known >= 0) return known + 1
    names.push(stream, settings)
    return targets.push(stream)
  }
  const acked = [...byHolding].map(([holding, same]) => [holding, ...same.map(({ token }) => token.entry.id)])
  const rest = pack(others.map((item) => packed(item, targetOf)))
  const args = [pack(acked), rest]
  const ordered = [...acks, ...others].map(({ token: { key = '' } }) => key)
  if (ordered.some((key) => key !== '')) args.push(pack(ordered))
  try {
    const reply = await nodes.call(keys.tag, (session) => session.run(SETTLE, names, args), signal)
    const { passed, refusals } = readSettled(reply)
    if (passed > 0) place.passed?.()
    return refusals.flatMap(({ nth, why }) => {
      const item = acks[nth] ?? others[nth - acks.length]
      return item ? [{ index: item.index, error: refusal(why, item.verdict, queue) }] : []
    })
  } catch (error) {
    return items.map(({ index }) => ({ index, error }))
  }
}

function packed({ token, verdict }: Item, targetOf: (move: Move) => number): readonly Packable[] {
  switch (verdict.kind) {
    case 'ack':
      return []
    case 'release':
      return [RELEASE, token.member]
    case 'retry': {
      const { without, more } = changeFor(token.entry, verdict.headers, 'retry')
      return [RETRY, token.member, verdict.delayMs, without, more]
    }
    case 'move': {
      const { without, more } = changeFor(token.entry, verdict.headers, 'move')
      return [MOVE, token.member, targetOf(verdict), without, more]
    }
    default:
      throw new TypeError(`unknown verdict ${JSON.stringify(verdict satisfies never)}`)
  }
}

function refusal(why: number | string, verdict: Verdict, queue: string): Error {
  if (typeof why === 'string') return new Error(why)
  if (why === 3)
    return new DriverError(
      'TOO_LARGE',
      `redis-streams: an entry of queue "${queue}" has more fields than a script can copy: it can only be acked or released`,
    )
  return why === 2 && verdict.kind === 'move' ? notFound(verdict.to) : leaseLost(queue)
}

/** Whether these moves cannot be one step: some queue is on another node of a cluster. */
const elsewhere = ({ cluster, prefix, keys }: Place, items: readonly Item[]): boolean =>
  cluster &&
  items.some(
    ({ verdict }) => verdict.kind === 'move' && keysOf(prefix, verdict.to, verdict.topic).tag !== keys.tag,
  )

/** Stores the copies of what is still ours, and then acks what was stored. */
async function moveElsewhere(
  place: Place,
  items: readonly Item[],
  signal: AbortSignal | undefined,
): Promise<readonly Failure[]> {
  const { nodes, keys, queue } = place
  const failures: Failure[] = []
  const stored: Item[] = []
  try {
    const members = items.map(({ token }) => token.member)
    const reply = await nodes.call(
      keys.tag,
      (session) => session.call('ZMSCORE', keys.leases, ...members),
      signal,
    )
    const scores: readonly unknown[] = Array.isArray(reply) ? reply : []
    await Promise.all(
      items.map(async (item, nth) => {
        try {
          if (!scores[nth]) throw leaseLost(queue)
          await store(place, item, signal)
          stored.push({ ...item, verdict: { kind: 'ack' } })
        } catch (error) {
          failures.push({ index: item.index, error })
        }
      }),
    )
  } catch (error) {
    return items.map(({ index }) => ({ index, error }))
  }
  return [...failures, ...(await settleAll(place, stored, signal))]
}

/** The same copy stored again, as when the ack after it was lost, is dropped. */
async function store(
  { nodes, prefix, keys }: Place,
  { token: { entry }, verdict }: Item,
  signal: AbortSignal | undefined,
): Promise<void> {
  if (verdict.kind !== 'move') return
  const { to, topic } = verdict
  const { without, more } = changeFor(entry, verdict.headers, 'move')
  const left = new Set(without)
  const fields: Packable[] = []
  for (let at = 0; at + 1 < entry.fields.length; at += 2) {
    const [name, value] = entry.fields.slice(at, at + 2)
    if (name && value && !left.has(name.toString())) fields.push(name, value)
  }
  const target = keysOf(prefix, to, topic)
  const run = [0, [...fields, ...more], []]
  const reply = await nodes.call(
    target.tag,
    (session) =>
      session.run(SEND, sendKeys(target), [pack([run]), MOVE_WINDOW_MS, `${keys.stream}/${entry.id}`]),
    signal,
  )
  if (reply === 0) throw notFound(to)
}

export const leaseLost = (queue: string): DriverError =>
  new DriverError(
    'LEASE_LOST',
    `redis-streams: a delivery of queue "${queue}" is no longer this receiver's: its lease ran out, or its queue was deleted`,
  )
