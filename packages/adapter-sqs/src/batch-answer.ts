import type { FailedEntry } from './errors.js'

interface Entry {
  readonly Id?: string | undefined
}

interface Answer {
  readonly Successful?: readonly Entry[] | undefined
  readonly Failed?: readonly FailedEntry[] | undefined
}

/** The entries that were not said to be stored: stored is only what the broker says it has stored. */
export function failedOf(entries: readonly Entry[], { Successful = [], Failed = [] }: Answer): FailedEntry[] {
  if (Successful.length === entries.length) return []
  const told = new Set([...Successful, ...Failed].map(({ Id }) => Id))
  const untold = entries.filter(({ Id }) => !told.has(Id))
  return [
    ...Failed,
    ...untold.map(({ Id }) => ({ Id, Code: 'Unanswered', SenderFault: false, Message: UNTOLD })),
  ]
}

const UNTOLD = 'the broker says neither that it stored it nor that it did not'
