import type { AttemptRecord, DeadLetter } from '@msgloop/core'
import Table from 'cli-table3'
import type { Paint } from '../terminal.js'

/** A dead-letter queue as a table of 98 columns: why each message died, and each attempt of it. */
export function deadLetterTable(entries: readonly DeadLetter<unknown>[], paint: Paint): string {
  const table = new Table({
    head: ['mail', 'reason', 'last error', 'attempts'].map((title) => paint.bold(title)),
    style: { head: [], border: [] },
    colWidths: [11, 12, 46, 24],
    wordWrap: true,
  })
  for (const entry of entries) {
    const last = entry.error ? `${entry.error.name}: ${entry.error.message}` : ''
    table.push([entry.id, paint.red(entry.reason), last, history(entry)])
  }
  return table.toString()
}

function history({ attempts, attemptCount }: DeadLetter<unknown>): string {
  const [first] = attempts
  if (!first) return 'none'
  const lines = attempts.map((each) => attemptLine(each, each.at - first.at))
  if (attemptCount > attempts.length) lines.push(`… ${attemptCount} in all`)
  return lines.join('\n')
}

function attemptLine({ attempt, consumer }: AttemptRecord, afterMs: number): string {
  return `${attempt} by ${consumer}${afterMs > 0 ? ` after ${(afterMs / 1000).toFixed(2)} s` : ''}`
}
