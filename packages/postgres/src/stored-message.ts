import type { Outgoing, WireMessage } from '@msgloop/core/driver'
import type { Row } from './transactions.js'

/** Everything of a message but its id and body: what the column `fields` holds. */
type Fields = Omit<WireMessage, 'id' | 'body'>

/** A row of the outbox that a relay has claimed. */
export interface Claimed {
  readonly seq: string
  /** `queue:<name>` or `topic:<name>`. */
  readonly destination: string
  readonly key: string | null
  readonly outgoing: Outgoing
  /** Since it was written, by the server's clock. */
  readonly waitedMs: number
}

/** Values of a row, in the order of its columns: destination, id, key, body, fields, delay_ms. */
export function toValues(destination: string, { message, delayMs }: Outgoing): readonly unknown[] {
  const { id, body, ...fields } = message
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  return [destination, id, keyColumn(message.key), bytes, JSON.stringify(fields satisfies Fields), delayMs]
}

/** As JSON has it, since a column of text takes no NUL. */
function keyColumn(key: string | undefined): string | null {
  return key === undefined ? null : JSON.stringify(key).slice(1, -1)
}

export function fromRow(row: Row): Claimed {
  const fields = row.fields as Fields
  return {
    seq: String(row.seq),
    destination: String(row.destination),
    key: row.key as string | null,
    outgoing: {
      message: { ...fields, id: String(row.id), body: row.body as Uint8Array },
      delayMs: Number(row.delay_ms),
    },
    waitedMs: Math.max(0, Number(row.waited_ms)),
  }
}
