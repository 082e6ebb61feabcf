import { fork, type StdioOptions } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { createBroker } from '@msgloop/core'
import { defineMails } from './mail.js'
import type { Report } from './report.js'
import { isReport } from './report.js'
import { pretendSmtp } from './smtp.js'
import { stuckAt } from './stuck.js'
import { withBug } from './templates.js'
import { work } from './worker.js'
import type { Orders } from './worker-process.js'

/** The worker that will die with a mail in its hands, and not by its own will. */
export interface DoomedWorker {
  /** For people: what it is, and how it dies. */
  readonly what: string
  readonly death: string
  /** Resolves when it is dead. May be called twice. */
  kill(): Promise<void>
}

/** A process of its own, which SIGKILL ends as a crash or the kernel's memory killer would. */
export async function processWorker(
  orders: Orders,
  tell: (report: Report) => void,
  signal: AbortSignal,
): Promise<DoomedWorker> {
  const entry = fileURLToPath(new URL('./worker-process.js', import.meta.url))
  const stdio: StdioOptions = ['ignore', 'ignore', 'inherit', 'ipc']
  const child = fork(entry, { execArgv: [], stdio, signal, killSignal: 'SIGKILL' })
  // An abort is told as an error too; the exit that follows it is all that counts.
  child.on('error', () => {})
  const dead = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const kill = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
    await dead
  }
  const ready = new Promise<void>((resolve, reject) => {
    child.on('message', (report) => {
      if (!isReport(report)) return
      if (report.kind === 'ready') resolve()
      if (report.kind === 'failed') reject(new Error(`worker ${orders.name}: ${report.message}`))
      tell(report)
    })
    void dead.then(() => reject(new Error(`worker ${orders.name} ended before it was ready`)))
  })
  child.send(orders)
  try {
    await ready
  } catch (error) {
    await kill()
    throw error
  }
  return { what: `a process of its own (pid ${child.pid})`, death: `kill -9 ${child.pid}`, kill }
}

/** A client of the memory broker, which lives in this process: its connection is cut for good. */
export async function memoryWorker(orders: Orders, tell: (report: Report) => void): Promise<DoomedWorker> {
  const { memory, memoryFaults, parseMemoryUrl } = await import('@msgloop/adapter-memory')
  const driver = memory(parseMemoryUrl(orders.url))
  const broker = createBroker(driver)
  const consumer = work(broker.queue(defineMails(orders.queue)), {
    name: orders.name,
    render: withBug,
    smtp: pretendSmtp((id) => tell({ kind: 'mailed', id })),
    middleware: [stuckAt(orders.stuckAt, (id) => tell({ kind: 'stuck', id }))],
  })
  await consumer.ready
  return {
    what: 'a client of its own (the memory broker lives in this process, so C does too)',
    death: 'its connection is cut',
    async kill() {
      memoryFaults(driver).down()
      await broker.close({ timeout: 0 })
    },
  }
}
