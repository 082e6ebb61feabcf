import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MsgloopError } from '@msgloop/core'
import { PHASES, type Phase } from './phase.js'
import { STATE_FILE } from './state.js'

const LOOK_MS = 200

/** The phase as the application knows it: set by hand, or read again and again from a migration's state folder. */
export class PhaseClock {
  #phase: Phase
  readonly #listeners = new Set<(phase: Phase) => void>()
  #timer: NodeJS.Timeout | undefined

  constructor(phase: Phase) {
    this.#phase = known(phase)
  }

  get phase(): Phase {
    return this.#phase
  }

  set(phase: Phase): void {
    if (known(phase) === this.#phase) return
    this.#phase = phase
    for (const listener of [...this.#listeners]) listener(phase)
  }

  /** Until `stop`. A file that is not there yet, or cannot be read, changes nothing. */
  follow(folder: string): void {
    const path = join(folder, STATE_FILE)
    const look = async (): Promise<void> => {
      const text = await readFile(path, 'utf8').catch(() => undefined)
      if (text === undefined) return
      try {
        this.set((JSON.parse(text) as { phase: Phase }).phase)
      } catch (error) {
        process.emitWarning(`${path} does not name a phase: ${String(error)}`, { code: 'MSGLOOP_MIGRATE' })
      }
    }
    void look()
    this.#timer = setInterval(() => void look(), LOOK_MS).unref()
  }

  onChange(listener: (phase: Phase) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#listeners.clear()
  }
}

function known(phase: Phase): Phase {
  if (PHASES.includes(phase)) return phase
  throw new MsgloopError('INVALID', `${JSON.stringify(phase)} is not a phase; there are ${PHASES.join(', ')}`)
}
