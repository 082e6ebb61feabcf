import { connect } from '../connect.js'
import { defineMails } from './mail.js'
import { type Report, reportFlow } from './report.js'
import { pretendSmtp } from './smtp.js'
import { stuckAt } from './stuck.js'
import { withBug } from './templates.js'
import { work } from './worker.js'

/** What the demo tells a worker process. Sent over IPC: arguments and environment are for all to see. */
export interface Orders {
  readonly url: string
  readonly queue: string
  readonly name: string
  readonly stuckAt: number
}

/** A worker as a program of its own. All that is about the demo, and not about the work, is `report`. */
async function main(orders: Orders): Promise<void> {
  const broker = await connect(orders.url)
  broker.closeOn('SIGTERM', 'SIGINT')
  process.once('disconnect', () => void broker.close())
  reportFlow(report)
  const consumer = work(broker.queue(defineMails(orders.queue)), {
    name: orders.name,
    render: withBug,
    smtp: pretendSmtp((id) => report({ kind: 'mailed', id })),
    middleware: [stuckAt(orders.stuckAt, (id) => report({ kind: 'stuck', id }))],
  })
  await consumer.ready
  report({ kind: 'ready' })
}

function report(what: Report): void {
  // Once the parent is gone there is nobody to tell, and the process is about to end.
  if (process.connected) process.send?.(what, undefined, undefined, () => {})
}

function isOrders(message: unknown): message is Orders {
  return typeof message === 'object' && message !== null && 'url' in message && 'stuckAt' in message
}

process.once('message', (message) => {
  if (!isOrders(message)) return
  main(message).catch((error: unknown) => {
    report({ kind: 'failed', message: error instanceof Error ? error.message : String(error) })
    process.exitCode = 1
    process.disconnect?.()
  })
})
