import type { Queue, SendOptions } from '@msgloop/core'
import { bytes, defineQueue, json, text } from '@msgloop/core'
import type { Command } from 'commander'
import { Option } from 'commander'
import { complain, print } from '../terminal.js'
import { CommandFailure } from './failure.js'
import { brokerCommand, type FrameOptions, withBroker } from './frame.js'
import { nameValue } from './name-value.js'
import { printJson } from './output.js'
import { readStdin } from './read-stdin.js'

interface SendFlags extends FrameOptions {
  readonly as: 'json' | 'text' | 'bytes'
  readonly lines?: boolean
  readonly create?: boolean
  readonly header: Record<string, string>
  readonly id?: string
  readonly key?: string
  readonly delay?: string
  readonly ttl?: string
  readonly type?: string
  readonly correlationId?: string
  readonly priority?: 'high' | 'normal' | 'low'
}

const CODECS = { json: json(), text: text(), bytes: bytes() } as const
/** Lines sent at once. */
const WINDOW = 1_000

export function sendCommand(): Command {
  return brokerCommand(
    'send',
    'send a message, or one per line of standard input',
    `send orders '{"id":7}' --header tenant=a --delay 10m`,
    'send orders --lines < orders.ndjson',
    'send photos --as bytes < cat.jpg',
  )
    .argument('<queue>', 'its name')
    .argument('[body]', 'the body; from standard input when it is not given')
    .addOption(
      new Option('--as <form>', 'what the body is').choices(['json', 'text', 'bytes']).default('json'),
    )
    .option('--lines', 'each line of standard input is a message')
    .option('--create', 'make the queue when it is not there')
    .option('--header <name=value>', 'a header; may be given many times', nameValue, {})
    .option('--id <id>', 'default: a new UUIDv7')
    .option('--key <key>', 'ordering key')
    .option('--delay <duration>', 'such as 500ms, 30s, 15m, 2h, 3d')
    .option('--ttl <duration>', 'dead-letter it when no handler got it within this time')
    .option('--type <type>')
    .option('--correlation-id <id>')
    .addOption(new Option('--priority <lane>', 'of a queue with lanes').choices(['high', 'normal', 'low']))
    .action(async (queue: string, body: string | undefined, flags: SendFlags) => {
      if (flags.lines && (body !== undefined || flags.id !== undefined))
        throw new CommandFailure(
          2,
          '--lines takes its messages from standard input: give neither a body nor --id',
        )
      await withBroker(
        flags,
        async ({ broker, signal }) => {
          const definition = defineQueue<unknown>(queue, {
            codec: CODECS[flags.as],
            ...(flags.priority && { lanes: true }),
          })
          const target = broker.queue(definition)
          if (flags.lines) await sendLines(target, flags, signal)
          else
            tell(
              await target.send(parse(flags.as, body ?? (await readStdin())), optionsOf(flags, signal)),
              flags,
            )
        },
        flags.create ? { topology: 'declare' } : {},
      )
    })
}

function optionsOf(flags: SendFlags, signal: AbortSignal): SendOptions {
  const { header, id, key, type, correlationId, priority } = flags
  const delay = flags.delay as SendOptions['delay']
  const ttl = flags.ttl as SendOptions['ttl']
  return {
    headers: header,
    signal,
    ...(id !== undefined && { id }),
    ...(key !== undefined && { key }),
    ...(delay !== undefined && { delay }),
    ...(ttl !== undefined && { ttl }),
    ...(type !== undefined && { type }),
    ...(correlationId !== undefined && { correlationId }),
    ...(priority !== undefined && { priority }),
  }
}

function parse(form: SendFlags['as'], body: string | Buffer): unknown {
  if (form === 'bytes') return Buffer.from(body)
  const given = body.toString()
  if (form === 'text') return given
  try {
    return JSON.parse(given)
  } catch (error) {
    throw new CommandFailure(
      2,
      `the body is not JSON: ${(error as Error).message}; give --as text to send it as it is`,
    )
  }
}

async function sendLines(queue: Queue<unknown>, flags: SendFlags, signal: AbortSignal): Promise<void> {
  const { createInterface } = await import('node:readline')
  const options = optionsOf(flags, signal)
  let line = 0
  let failed = 0
  let batch: Promise<void>[] = []
  for await (const each of createInterface({ input: process.stdin })) {
    if (signal.aborted) break
    const number = ++line
    if (each === '') continue
    const sending = Promise.resolve()
      .then(() => queue.send(parse(flags.as, each), options))
      .then((id) => tell(id, flags))
      .catch((error: Error) => {
        failed++
        complain(`line ${number}: ${error.message}`)
      })
    batch.push(sending)
    if (batch.length === WINDOW) await Promise.all(batch.splice(0))
  }
  await Promise.all(batch)
  batch = []
  if (failed > 0) throw new CommandFailure(1, `${failed} of ${line} lines were not sent`)
}

function tell(id: string, { json: asJson }: SendFlags): void {
  if (asJson) printJson({ id })
  else print(id)
}
