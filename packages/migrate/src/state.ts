import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MsgloopError } from '@msgloop/core'
import type { Phase } from './phase.js'

export interface MigrationState {
  readonly version: 1
  /** Name and address of each side; never a password. */
  readonly from: string
  readonly to: string
  readonly queues: readonly string[]
  readonly phase: Phase
  /** ISO 8601. */
  readonly startedAt: string
}

export const STATE_FILE = 'migration.json'

/** @throws MsgloopError `INVALID` when the folder belongs to another migration */
export async function readState(
  folder: string,
  expected: Pick<MigrationState, 'from' | 'to'>,
): Promise<MigrationState | undefined> {
  const path = join(folder, STATE_FILE)
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw unusable(path, error)
  }
  let state: MigrationState
  try {
    state = JSON.parse(text) as MigrationState
  } catch (error) {
    throw unusable(path, error)
  }
  if (state.version !== 1)
    throw new MsgloopError('INVALID', `${path} was written by another version of @msgloop/migrate`)
  if (state.from !== expected.from || state.to !== expected.to)
    throw new MsgloopError(
      'INVALID',
      `${path} belongs to another migration, from ${state.from} to ${state.to}; give this one a folder of its own`,
    )
  return state
}

/** Whole or not at all: a crash leaves the file as it was before. */
export async function writeState(folder: string, state: MigrationState): Promise<void> {
  const path = join(folder, STATE_FILE)
  try {
    await mkdir(folder, { recursive: true })
    await writeFile(`${path}.new`, `${JSON.stringify(state, undefined, 2)}\n`)
    await rename(`${path}.new`, path)
  } catch (error) {
    throw unusable(path, error)
  }
}

function unusable(path: string, cause: unknown): MsgloopError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new MsgloopError('INVALID', `the state file ${path} cannot be used: ${reason}`, { cause })
}
