import { createReadStream, existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { AppendFile } from './append-file.js'

/** One message that the target's broker has confirmed. */
export interface Moved {
  readonly queue: string
  readonly id: string
  readonly print: string
}

/** One message that could not be moved and stays at the source. */
export interface LeftBehind {
  readonly queue: string
  readonly id: string
  readonly reason: string
}

const MOVED = 'moved.tsv'
const LEFT = 'left-behind.ndjson'

/**
 * What was moved, and what could not be: two files in the state folder, so that memory stays flat and whoever goes on
 * after a crash knows both. A message is written down after the target's confirm, before it is taken off the source: what a
 * crash repeats stands there twice.
 */
export class Ledger {
  readonly #moved: AppendFile
  readonly #left: AppendFile
  readonly #known: Set<string>

  private constructor(moved: AppendFile, left: AppendFile, known: Set<string>) {
    this.#moved = moved
    this.#left = left
    this.#known = known
  }

  static async open(folder: string): Promise<Ledger> {
    const known = new Set<string>()
    for await (const { queue, id } of readLeftBehind(folder)) known.add(`${queue}\t${id}`)
    return new Ledger(
      await AppendFile.open(join(folder, MOVED)),
      await AppendFile.open(join(folder, LEFT)),
      known,
    )
  }

  moved({ queue, id, print }: Moved): Promise<void> {
    return this.#moved.add(`${queue}\t${print}\t${id}`)
  }

  async leftBehind(entry: LeftBehind): Promise<void> {
    const key = `${entry.queue}\t${entry.id}`
    if (this.#known.has(key)) return
    this.#known.add(key)
    await this.#left.add(JSON.stringify(entry))
  }

  async close(): Promise<void> {
    await Promise.all([this.#moved.close(), this.#left.close()])
  }
}

/** Reads line by line; a last line that a crash cut short is passed over. */
export async function* readMoved(folder: string): AsyncGenerator<Moved> {
  for await (const line of lines(join(folder, MOVED))) {
    const [queue, print, id] = line.split('\t')
    if (queue && print?.length === 32 && id) yield { queue, print, id }
  }
}

export async function* readLeftBehind(folder: string): AsyncGenerator<LeftBehind> {
  for await (const line of lines(join(folder, LEFT))) {
    try {
      yield JSON.parse(line) as LeftBehind
    } catch {}
  }
}

async function* lines(path: string): AsyncGenerator<string> {
  if (!existsSync(path)) return
  yield* createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })
}
