import type { Duration, ReplayOptions, ReplayResult } from '@msgloop/core'
import type { Command } from 'commander'
import { complain, print } from '../terminal.js'
import type { DeadLetterFlags, FilterFlags } from './dead-letter-flags.js'
import { deadLetterCommand, deadLettersOf, filterOf, withFilter } from './dead-letter-flags.js'
import { CommandFailure } from './failure.js'
import { withBroker } from './frame.js'
import { wholeNumber } from './numbers.js'
import { printJson, printTable } from './output.js'
import { progressBar } from './progress.js'

interface ReplayFlags extends DeadLetterFlags, FilterFlags {
  readonly dryRun?: boolean
  readonly limit?: number
  readonly rate?: number
  readonly to?: string
  readonly canary?: number
  readonly canaryFailures?: string
  readonly canaryWait?: string
}

export function dlqReplayCommand(): Command {
  return withFilter(
    deadLetterCommand(
      'replay',
      'move dead letters back to their queue, with attempt 1',
      "replay orders --error 'Timeout*' --dry-run",
      "replay orders --error 'Timeout*' --canary 5 --rate 50",
      'replay orders --quarantine --id 018f2b6e-…',
    ),
  )
    .option('--dry-run', 'count what would be replayed, and what it died of; move nothing')
    .option('--limit <count>', 'most entries', wholeNumber)
    .option('--rate <count>', 'most in a second', wholeNumber)
    .option('--to <queue>', 'another queue than the one they came from')
    .option('--canary <count>', 'replay so many first, and go on only when they were handled', wholeNumber)
    .option('--canary-failures <count>', 'how many of the canary may fail')
    .option('--canary-wait <duration>', 'longest wait for the outcome of the canary')
    .addHelpText(
      'after',
      `
Ctrl-C or a kill loses nothing: what was not replayed is still there, and the same command goes on. What was replayed
too often already is moved to the quarantine instead. Exit code 1 also when the canary did not pass, or entries failed.`,
    )
    .action(async (queue: string, flags: ReplayFlags) => {
      await withBroker(flags, async ({ broker, signal }) => {
        const deadLetters = await deadLettersOf({ broker }, queue, flags)
        const total = flags.json ? undefined : (await deadLetters.queue.stats()).ready
        const bar = flags.json || flags.dryRun ? undefined : progressBar('replayed')
        const onProgress: ReplayOptions['onProgress'] = ({ phase, replayed }) =>
          bar?.update(replayed, Math.min(total ?? replayed, flags.limit ?? Number.POSITIVE_INFINITY), phase)
        const result = await deadLetters
          .replay(filterOf(flags), { ...optionsOf(flags), signal, onProgress })
          .finally(() => bar?.stop())
        if (flags.json) printJson(result)
        else show(result, flags.dryRun)
        if (signal.aborted) return
        if (result.canary && !result.canary.passed)
          throw new CommandFailure(1, 'the canary did not pass; the rest was left where it is')
        if (result.failed > 0)
          throw new CommandFailure(1, `${result.failed} entries could not be moved; they are still there`)
      })
    })
}

function optionsOf(flags: ReplayFlags): ReplayOptions {
  const { dryRun, limit, rate, to, canary, canaryFailures, canaryWait } = flags
  return {
    ...(dryRun && { dryRun }),
    ...(limit !== undefined && { limit }),
    ...(rate !== undefined && { rate }),
    ...(to !== undefined && { to }),
    ...(canary !== undefined && { canary }),
    ...(canaryFailures !== undefined && { canaryFailures: Number(canaryFailures) }),
    ...(canaryWait !== undefined && { canaryWait: canaryWait as Duration }),
  }
}

function show(result: ReplayResult, dryRun: boolean | undefined): void {
  const { replayed, quarantined, kept, failed, canary } = result
  const verb = dryRun ? 'would be ' : ''
  print(
    `${replayed} ${verb}replayed, ${quarantined} ${verb}quarantined, ${kept} did not match, ${failed} failed`,
  )
  const histogram = [
    ...Object.entries(result.reasons).map(([reason, count]) => ['reason', reason, count ?? 0] as const),
    ...Object.entries(result.errors).map(([name, count]) => ['error', name, count] as const),
  ]
  if (histogram.length > 0) printTable(['of those that match', '', 'entries'], histogram)
  if (canary)
    complain(
      `canary of ${canary.replayed}: ${canary.handled} handled, ${canary.died} died again, ${canary.unknown} unknown`,
    )
}
