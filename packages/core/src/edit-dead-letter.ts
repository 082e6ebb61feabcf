import { createHash } from 'node:crypto'
import { editedHeaders, readBook, userHeaders } from './book.js'
import { bytes } from './codec.js'
import type { Context } from './context.js'
import { readDeadLetter } from './dead-letter.js'
import type { DeadLetterEdit } from './dead-letters.js'
import type { Outgoing, QueueSpec } from './driver.js'
import { MsgloopError } from './error.js'
import { flow } from './flow.js'
import type { Held } from './held.js'
import { onlyKnown } from './options.js'
import { prepare } from './outgoing.js'
import type { ResolvedQueue } from './resolved-queue.js'
import { SenderLink } from './sender-link.js'
import { publishStep } from './steps.js'
import { take } from './take.js'
import type { QueueTopology } from './topology-keeper.js'

export interface Editing<T> {
  readonly source: ResolvedQueue<T>
  readonly dead: ResolvedQueue<T>
  readonly id: string
  readonly change: DeadLetterEdit<T>
  readonly signal: AbortSignal | undefined
}

/** Sends the changed message while the original is held, then takes the original off: a crash leaves both, never none. */
export async function editDeadLetter<T>(context: Context, editing: Editing<T>): Promise<string> {
  const { source, dead, id, change, signal } = editing
  const { name } = source.definition
  const at = `edit of dead letter ${id} of queue "${name}"`
  onlyKnown(at, change, ['body', 'headers'])
  if (change.body === undefined && change.headers === undefined)
    throw new MsgloopError('INVALID', `${at}: give a "body" or "headers"; replay() sends it as it is`)
  const { spec } = source
  // What is published goes to every subscription, and nothing else reaches one alone but a move.
  if (spec.kind === 'subscription')
    throw new MsgloopError('UNSUPPORTED', `${at}: nothing new can be sent to one subscription of a topic`)
  const topology = { spec, deadLetter: source.deadLetter }
  let newId: string | undefined
  await take(context, dead, signal, async (batch) => {
    const held = batch.find(({ delivery }) => delivery.message.id === id)
    if (!held) return true
    const from = readDeadLetter(source, held.delivery).source
    if (from !== name)
      throw new MsgloopError('INVALID', `${at}: it came from queue "${from}"; edit it through that queue`)
    const outgoing = await changed(context, source, held, change)
    await send(context, topology, source.definition.sendTimeoutMs, outgoing, signal)
    newId = outgoing.message.id
    await held.intake.settle(held, { kind: 'ack' })
    return false
  })
  if (newId !== undefined) return newId
  if (signal?.aborted) throw new MsgloopError('ABORTED', `${at} was aborted by its signal`)
  throw new MsgloopError('NOT_FOUND', `${at}: there is no such entry in "${dead.spec.name}"`)
}

async function changed<T>(
  context: Context,
  { definition }: ResolvedQueue<T>,
  { delivery }: Held,
  { body, headers }: DeadLetterEdit<T>,
): Promise<Outgoing> {
  const { message } = delivery
  const at = `queue "${definition.name}"`
  const options = {
    headers: headers ?? userHeaders(message.headers),
    ...(message.key !== undefined && { key: message.key }),
  }
  const made =
    body === undefined
      ? await prepare(context, { codec: bytes(), schema: undefined }, at, message.body, options)
      : await prepare(context, definition, at, body, options)
  return {
    delayMs: 0,
    message: {
      ...message,
      id: editedId(message.id, made),
      body: made.message.body,
      contentType: body === undefined ? message.contentType : made.message.contentType,
      headers: { ...made.message.headers, ...editedHeaders(readBook(delivery), message.id) },
      timestamp: made.message.timestamp,
      correlationId: message.correlationId ?? message.id,
      causationId: message.id,
      // Whoever waited for the answer to the original waits for that, if still.
      replyTo: undefined,
      expiresAt: undefined,
    },
  }
}

/** Of the original and what it becomes: an edit that is made again, as its process died, can be told by its id. */
function editedId(original: string, { message }: Outgoing): string {
  const headers = Object.entries(message.headers).sort(([a], [b]) => (a < b ? -1 : 1))
  const hash = createHash('sha256')
    .update(JSON.stringify([original, headers]))
    .update(message.body)
  return `edit-${hash.digest('hex').slice(0, 32)}`
}

async function send(
  context: Context,
  topology: QueueTopology<QueueSpec>,
  timeoutMs: number,
  outgoing: Outgoing,
  signal: AbortSignal | undefined,
): Promise<void> {
  const link = new SenderLink(context, topology, timeoutMs)
  try {
    await link.send(outgoing, signal)
  } finally {
    await link.close()
  }
  if (flow.hasSubscribers) publishStep(context, outgoing.message, { step: 'sent', queue: topology.spec.name })
}
