import { complain } from '../terminal.js'

/** All of standard input. */
export async function readStdin(): Promise<Buffer> {
  if (process.stdin.isTTY) complain('reading the body from standard input; end it with Ctrl-D')
  const chunks: Buffer[] = []
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
