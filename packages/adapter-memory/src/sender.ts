import type { Destination, Failure, Limits, Outgoing, Sender } from '@msgloop/core/driver'
import { DriverError, RESERVED_PREFIX } from '@msgloop/core/driver'
import type { Connection, Link } from './connection.js'
import { checkDelay } from './settle.js'

/** Sends to one queue or topic. A message is stored before `send` returns its promise. */
export class MemorySender implements Sender, Link {
  readonly #connection: Connection
  readonly #destination: Destination
  #ended: DriverError | undefined

  constructor(connection: Connection, destination: Destination) {
    this.#connection = connection
    this.#destination = destination
    connection.links.add(this)
  }

  async send(batch: readonly Outgoing[], signal: AbortSignal): Promise<readonly Failure[]> {
    this.#connection.check(signal)
    if (this.#ended) throw this.#ended
    const { broker, turns } = this.#connection
    const { limits } = broker.profile.capabilities
    checkBatch(limits, batch)
    const target = broker.target(this.#destination)
    const failures: Failure[] = []
    for (const [index, { message, delayMs }] of batch.entries()) {
      const error = checkSize(limits, message) ?? checkDelay(limits, delayMs)
      if (error) failures.push({ index, error })
      else target.send(message, delayMs)
    }
    turns.spend(batch.length)
    await turns.due()
    return failures
  }

  cut(error: DriverError): void {
    this.#ended ??= error
    this.#connection.links.delete(this)
  }

  async close(): Promise<void> {
    this.cut(new DriverError('CLOSED', 'the sender is closed', { outcome: 'rejected' }))
  }
}

function checkBatch(limits: Limits, batch: readonly Outgoing[]): void {
  let bytes = 0
  for (const { message } of batch) bytes += message.body.byteLength
  if (batch.length > limits.sendBatch) throw tooLarge(`a batch of ${batch.length}`, limits.sendBatch)
  if (bytes > limits.sendBatchBytes) throw tooLarge(`a batch of ${bytes} bytes`, limits.sendBatchBytes)
}

/** The core checks first; the driver too, so that the declared numbers are the measured ones. */
function checkSize(limits: Limits, { body, headers }: Outgoing['message']): DriverError | undefined {
  if (body.byteLength > limits.bodyBytes)
    return tooLarge(`a body of ${body.byteLength} bytes`, limits.bodyBytes)
  let count = 0
  let bytes = 0
  for (const name in headers) {
    if (name.startsWith(RESERVED_PREFIX)) continue
    count++
    bytes += Buffer.byteLength(name) + Buffer.byteLength(headers[name] ?? '')
  }
  if (count > limits.headerCount) return tooLarge(`${count} headers`, limits.headerCount)
  if (bytes > limits.headerBytes) return tooLarge(`headers of ${bytes} bytes`, limits.headerBytes)
  return undefined
}

function tooLarge(what: string, limit: number): DriverError {
  return new DriverError('TOO_LARGE', `${what}; at most ${limit} are possible here`, { outcome: 'rejected' })
}
