/**
 * Ends a command with this exit code and this one line on stderr.
 * 1: it did not come out right. 2: it could not begin, for wrong usage or no connection.
 */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure'
  readonly exitCode: 1 | 2

  constructor(exitCode: 1 | 2, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.exitCode = exitCode
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error && error.message !== '' ? error.message : String(error)
}
