import type { Broker, BrokerOptions } from '@msgloop/core'
import { Command, Option } from 'commander'
import { connect } from '../connect.js'
import { complain } from '../terminal.js'
import { CommandFailure, messageOf } from './failure.js'

/** What shells report of a program that Ctrl-C ended. */
const INTERRUPTED = 130

/** Options that every command for a broker has. */
export interface FrameOptions {
  readonly url: string
  readonly json?: boolean
  readonly timeout: string
}

/** What a command works with. */
export interface Frame {
  readonly broker: Broker
  /** Aborts on Ctrl-C, and when nobody reads on: finish what was begun, begin nothing more. */
  readonly signal: AbortSignal
}

export const EXIT_CODES = `
Exit codes:
  0  done
  1  it did not come out right, or not all of it
  2  wrong usage, or no connection
  130  ended by Ctrl-C`

/** A command that works on a broker: `--url`, `--json`, `--timeout`, and help with examples and exit codes. */
export function brokerCommand(name: string, description: string, ...examples: readonly string[]): Command {
  const shown = examples.map((example) => `  $ msgloop ${example}`).join('\n')
  return new Command(name)
    .description(description)
    .addOption(urlOption())
    .option('--json', 'print JSON: one document, or one a line where there may be many')
    .option('--timeout <duration>', 'longest until the broker has answered', '10s')
    .addHelpText('after', `\nExamples:\n${shown}\n${EXIT_CODES}`)
}

export function urlOption(): Option {
  return new Option('-u, --url <url>', 'the broker, such as amqp://localhost:5672')
    .env('QUEUE_URL')
    .default('memory:')
}

/**
 * Connects, runs `work`, and closes, also after Ctrl-C. Queues are taken as they are unless asked otherwise.
 *
 * @throws CommandFailure
 */
export async function withBroker(
  { url, timeout }: FrameOptions,
  work: (frame: Frame) => Promise<void>,
  options: BrokerOptions = {},
): Promise<void> {
  const broker = await open(url, { topology: 'none', ...options }, timeout)
  await interruptible(async (signal) => {
    try {
      await work({ broker, signal })
    } finally {
      await broker.close({ timeout: '5s' })
    }
  })
}

/**
 * Runs `work` with a signal that Ctrl-C aborts, or that whoever reads our output has gone; a second Ctrl-C ends the
 * process.
 */
export async function interruptible(work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const stop = new AbortController()
  const interrupt = (): void => {
    process.exitCode = INTERRUPTED
    stop.abort()
    complain('interrupted; finishing what was begun')
  }
  const gone = (): void => stop.abort()
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt)
  process.stdout.once('error', gone)
  try {
    await work(stop.signal)
  } catch (error) {
    if (!stop.signal.aborted) throw error
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
    process.stdout.off('error', gone)
  }
}

async function open(url: string, options: BrokerOptions, timeout: string): Promise<Broker> {
  try {
    return await connect(url, { ...options, timeout: timeout as '10s' })
  } catch (error) {
    throw new CommandFailure(2, messageOf(error), { cause: error })
  }
}
