import type { DeadLetterFilter, DeadLetters, DeadReason, Duration, MessageSource } from '@msgloop/core'
import { defineQueue, milliseconds } from '@msgloop/core'
import type { Command } from 'commander'
import { Option } from 'commander'
import { queueOf, readTopologyFile } from '../topology-file.js'
import { CommandFailure } from './failure.js'
import type { Frame, FrameOptions } from './frame.js'
import { brokerCommand } from './frame.js'
import { nameValue } from './name-value.js'

const REASONS: readonly DeadReason[] = [
  'exhausted',
  'rejected',
  'undecodable',
  'invalid',
  'expired',
  'crash-loop',
]

export interface DeadLetterFlags extends FrameOptions {
  readonly deadLetter?: string
  readonly file?: string
  readonly quarantine?: boolean
}

export interface FilterFlags {
  readonly id?: string[]
  readonly error?: string
  readonly reason?: DeadReason[]
  readonly key?: string
  readonly type?: string
  readonly source?: string
  readonly subject?: string
  readonly header?: Record<string, string>
  readonly since?: Date
  readonly until?: Date
}

/** A command on the dead letters of one queue. */
export function deadLetterCommand(
  name: string,
  description: string,
  ...examples: readonly string[]
): Command {
  return brokerCommand(name, description, ...examples.map((example) => `dlq ${example}`))
    .argument('<queue>', 'the queue they came from')
    .option('--dead-letter <queue>', 'its dead-letter queue; default: <queue>.dlq')
    .option('-f, --file <path>', 'topology file that defines the queue, where it is not as by default')
    .option('--quarantine', 'those that were replayed too often')
}

/** `--error` and the like: which entries. */
export function withFilter(command: Command): Command {
  const collect = (given: string, before: string[] | undefined): string[] => [...(before ?? []), given]
  return command
    .option('--id <id>', 'this entry; may be given many times', collect)
    .option(
      '--error <pattern>',
      "against '<name>: <message>' of the last error, or its name; * is a wildcard",
    )
    .addOption(
      new Option('--reason <reason>', 'why they died; may be given many times')
        .choices(REASONS)
        .argParser(reason),
    )
    .option('--key <pattern>', 'ordering key')
    .option('--type <pattern>', 'type of the message')
    .option('--source <pattern>', 'the queue it came from, where several share a dead-letter queue')
    .option('--subject <pattern>', 'subject it was published with')
    .option('--header <name=pattern>', 'a header; may be given many times', nameValue, {})
    .option('--since <time>', 'dead-lettered at or after: an ISO time, or how long ago, such as 2h', time)
    .option('--until <time>', 'dead-lettered before', time)
}

/** The entries that a command works on. The queue is taken as it is. @throws CommandFailure for a bad file */
export async function deadLettersOf(
  { broker }: Pick<Frame, 'broker'>,
  queue: string,
  { deadLetter, file, quarantine }: DeadLetterFlags,
): Promise<DeadLetters<unknown>> {
  if (file !== undefined && deadLetter !== undefined)
    throw new CommandFailure(2, 'give --file or --dead-letter, not both')
  const source: MessageSource<unknown> =
    file === undefined
      ? broker.queue(defineQueue(queue, deadLetter === undefined ? {} : { deadLetter }))
      : queueOf(broker, await readTopologyFile(file), queue)
  return quarantine ? source.deadLetters.quarantine : source.deadLetters
}

export function filterOf(flags: FilterFlags): DeadLetterFilter {
  const { id, error, reason, key, type, source, subject, header, since, until } = flags
  const given = { id, error, reason, key, type, source, subject, since, until }
  const headers = header && Object.keys(header).length > 0 ? header : undefined
  return Object.fromEntries(Object.entries({ ...given, headers }).filter(([, value]) => value !== undefined))
}

function reason(given: string, before: DeadReason[] | undefined): DeadReason[] {
  const known = REASONS.find((each) => each === given)
  if (!known) throw new CommandFailure(2, `--reason is "${given}"; there are ${REASONS.join(', ')}`)
  return [...(before ?? []), known]
}

function time(given: string): Date {
  const iso = new Date(given)
  if (/^\d{4}-/.test(given) && !Number.isNaN(iso.getTime())) return iso
  try {
    return new Date(Date.now() - milliseconds('time', given as Duration))
  } catch {
    throw new CommandFailure(2, `"${given}" is no time: give an ISO time, or how long ago, such as 2h`)
  }
}
