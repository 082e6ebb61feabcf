import type { FileHandle } from 'node:fs/promises'
import { open } from 'node:fs/promises'
import { MsgloopError } from '@msgloop/core'

interface Waiting {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** A file that lines are added to. Lines of one moment are written together; each `add` resolves once its own is. */
export class AppendFile {
  readonly path: string
  readonly #file: FileHandle
  #lines: string[] = []
  #waiting: Waiting[] = []
  #writing: Promise<void> | undefined

  private constructor(path: string, file: FileHandle) {
    this.path = path
    this.#file = file
  }

  static async open(path: string): Promise<AppendFile> {
    return new AppendFile(path, await open(path, 'a'))
  }

  /** @throws MsgloopError when the line cannot be written: nothing may go on that relies on it */
  add(line: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#lines.push(line)
      this.#waiting.push({ resolve, reject })
      this.#writing ??= this.#write()
    })
  }

  async close(): Promise<void> {
    await this.#writing
    await this.#file.close()
  }

  async #write(): Promise<void> {
    await Promise.resolve()
    while (this.#lines.length > 0) {
      const waiting = this.#waiting
      const text = `${this.#lines.join('\n')}\n`
      this.#lines = []
      this.#waiting = []
      try {
        await this.#file.appendFile(text)
        for (const { resolve } of waiting) resolve()
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause)
        const error = new MsgloopError(
          'UNKNOWN',
          `cannot write to ${this.path}: ${reason}. Nothing is taken off the source without it; make room, and run it again`,
          { cause },
        )
        for (const { reject } of waiting) reject(error)
      }
    }
    this.#writing = undefined
  }
}
