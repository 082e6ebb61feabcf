import { randomUUID } from 'node:crypto'
import type { DeadLetter } from '@msgloop/core'
import { connect, defineQueue, fixed, Reject } from 'msgloop'

interface Order {
  readonly n: number
  readonly kind: 'fine' | 'shaky' | 'broken' | 'refused' | 'late'
}

/** What anybody outside can see of a run. */
export interface Outcome {
  /** Order numbers, with the attempt that succeeded and the header that came along. */
  readonly processed: readonly { n: number; attempt: number; tenant: string | undefined }[]
  readonly dead: readonly {
    n: number
    reason: string
    attempts: number
    records: readonly string[]
    error: string | undefined
    tenant: string | undefined
  }[]
  /** After a replay of what was refused. */
  readonly replayed: readonly { n: number; attempt: number; replays: number }[]
  readonly left: number
}

const KINDS: readonly Order['kind'][] = ['fine', 'shaky', 'broken', 'refused', 'late', 'fine']
const ORDERS: readonly Order[] = Array.from({ length: 24 }, (_, n) => ({
  n,
  kind: KINDS[n % KINDS.length] ?? 'fine',
}))

/**
 * An application as anybody would write it: it knows a URL, and nothing of the broker behind it.
 * Each order is fine, shaky (succeeds at the third attempt), broken (never succeeds), refused (fails at
 * once, until the bug is fixed) or late (sent with a delay).
 */
export async function runApplication(url: string): Promise<Outcome> {
  const broker = await connect(url)
  const orders = broker.queue(
    defineQueue<Order>(`swap-${randomUUID()}`, {
      retry: fixed({ attempts: 3, delay: '1s' }),
      lease: '10s',
    }),
  )
  let fixedBug = false
  const processed: { n: number; attempt: number; replays: number; tenant: string | undefined }[] = []
  const consumer = orders.consume(
    ({ n, kind }, message) => {
      if (kind === 'broken') throw new TypeError(`order ${n} is broken`)
      if (kind === 'shaky' && message.attempt < 3) throw new Error(`order ${n}, attempt ${message.attempt}`)
      if (kind === 'refused' && !fixedBug) throw new Reject(`order ${n} is refused`)
      processed.push({
        n,
        attempt: message.attempt,
        replays: message.replays,
        tenant: message.headers.tenant,
      })
    },
    { concurrency: 4 },
  )
  try {
    const sent = await orders.sendBatch(
      ORDERS.map((order) => ({
        body: order,
        headers: { tenant: `t${order.n % 3}` },
        ...(order.kind === 'late' && { delay: '2s' as const }),
      })),
    )
    const unsent = sent.filter((each) => !each.ok)
    if (unsent.length > 0) throw new Error(`${unsent.length} orders were not sent`)
    const dying = ORDERS.filter(({ kind }) => kind === 'broken' || kind === 'refused').length
    await until('every order to end', () => processed.length >= ORDERS.length - dying)
    let entries: DeadLetter<Order>[] = []
    await until('the dead letters', async () => {
      entries = []
      for await (const entry of orders.deadLetters.list()) entries.push(entry)
      return entries.length >= dying
    })
    const first = processed.splice(0)
    fixedBug = true
    const { replayed } = await orders.deadLetters.replay({ reason: 'rejected' })
    await until('the replayed orders', () => processed.length >= replayed)
    let left = 0
    for await (const _entry of orders.deadLetters.list()) left++
    return {
      processed: first.map(({ n, attempt, tenant }) => ({ n, attempt, tenant })).sort(byNumber),
      dead: entries
        .map((entry) => ({
          n: entry.body().n,
          reason: entry.reason,
          attempts: entry.attemptCount,
          records: entry.attempts.map(({ attempt, error }) => `${attempt} ${error.name}: ${error.message}`),
          error: entry.error && `${entry.error.name}: ${entry.error.message}`,
          tenant: entry.headers.tenant,
        }))
        .sort(byNumber),
      replayed: processed.map(({ n, attempt, replays }) => ({ n, attempt, replays })).sort(byNumber),
      left,
    }
  } finally {
    await consumer.close()
    await orders.delete().catch(() => {})
    await broker.close()
  }
}

function byNumber(a: { readonly n: number }, b: { readonly n: number }): number {
  return a.n - b.n
}

async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`waited 60 s for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
