import type { DeadLetter } from '@msgloop/core'
import { paint, print } from '../terminal.js'
import { printTable, textOf } from './output.js'
import { shownBody } from './shown-message.js'

const MOST_CHARACTERS = 60

/** The stable shape of a dead letter in `--json`. What cannot be decoded is shown as it is. */
export function deadLetterJson(entry: DeadLetter<unknown>): Record<string, unknown> {
  const { bytes, body: _, ...rest } = entry
  return { ...rest, body: bodyOf(entry), bytes: bytes.byteLength }
}

export function printDeadLetters(entries: readonly DeadLetter<unknown>[]): void {
  printTable(
    ['id', 'dead since', 'reason', 'attempts', 'replays', 'error'],
    entries.map(({ id, deadAt, reason, attemptCount, replays, error }) => [
      id,
      deadAt?.toISOString() ?? '-',
      reason,
      attemptCount,
      replays,
      error ? cut(`${error.name}: ${error.message}`) : '-',
    ]),
  )
}

export function printDeadLetter(entry: DeadLetter<unknown>): void {
  const facts: readonly (readonly [string, unknown])[] = [
    ['reason', entry.reason],
    ['from queue', entry.source],
    ['dead since', entry.deadAt?.toISOString()],
    ['first attempt', entry.firstAttemptAt?.toISOString()],
    ['attempts', entry.attemptCount],
    ['replays', entry.replays],
    ['sent', entry.timestamp?.toISOString()],
    ['key', entry.key],
    ['type', entry.type],
    ['subject', entry.subject],
    ['correlation id', entry.correlationId],
    ['causation id', entry.causationId],
    ['edited from', entry.editedFrom.join(', ') || undefined],
    ...Object.entries(entry.headers).map(([name, value]) => [`header ${name}`, value] as const),
  ]
  printTable(
    ['id', paint.bold(entry.id)],
    facts.flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]])),
  )
  if (entry.attempts.length > 0)
    printTable(
      ['attempt', 'at', 'ms', 'consumer', 'error'],
      entry.attempts.map(({ attempt, at, durationMs, consumer, error }) => [
        attempt,
        new Date(at).toISOString(),
        durationMs,
        consumer,
        cut(`${error.name}: ${error.message}`),
      ]),
    )
  if (entry.error?.stack) print(paint.dim(entry.error.stack))
  print(shownBody(bodyOf(entry)))
}

function bodyOf(entry: DeadLetter<unknown>): unknown {
  try {
    return entry.body()
  } catch {
    return textOf(entry.bytes)
  }
}

function cut(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ')
  return line.length <= MOST_CHARACTERS ? line : `${line.slice(0, MOST_CHARACTERS - 1)}…`
}
