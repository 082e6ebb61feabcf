import { constants } from 'node:os'
import { MsgloopError } from './error.js'

type Close = () => Promise<void>

interface Waiting {
  readonly closers: Set<Close>
  readonly listener: () => void
}

/** One listener a signal for the whole process: it may end only when the last of all brokers is closed. */
const waiting = new Map<NodeJS.Signals, Waiting>()
const UNCATCHABLE = ['SIGKILL', 'SIGSTOP']

/** @throws MsgloopError `INVALID` for what is no signal, or cannot be caught */
export function assertCatchable(signal: NodeJS.Signals): void {
  if (Object.hasOwn(constants.signals, signal) && !UNCATCHABLE.includes(signal)) return
  throw new MsgloopError('INVALID', `closeOn: "${String(signal)}" is no signal that a process can catch`)
}

/**
 * Calls `close` when `signal` arrives, and lets the signal end the process once all that wait for it are
 * closed. Returns a function that takes `close` back.
 */
export function onSignal(signal: NodeJS.Signals, close: Close): () => void {
  const { closers } = waiting.get(signal) ?? listen(signal)
  closers.add(close)
  return () => {
    closers.delete(close)
    if (closers.size === 0) unlisten(signal)
  }
}

function listen(signal: NodeJS.Signals): Waiting {
  const closers = new Set<Close>()
  const listener = (): void => {
    void Promise.allSettled([...closers].map((close) => close())).then(() => {
      unlisten(signal)
      process.kill(process.pid, signal)
    })
  }
  const entry = { closers, listener }
  waiting.set(signal, entry)
  process.once(signal, listener)
  return entry
}

function unlisten(signal: NodeJS.Signals): void {
  const entry = waiting.get(signal)
  if (!entry) return
  waiting.delete(signal)
  process.removeListener(signal, entry.listener)
}
