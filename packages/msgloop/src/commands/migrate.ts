import { defineQueue } from '@msgloop/core'
import type { Driver } from '@msgloop/core/driver'
import type { DrainOptions, Migration, MigrationPlan, MigrationVerdict } from '@msgloop/migrate'
import { Command } from 'commander'
import { openDriver } from '../open-driver.js'
import { complain, paint, print } from '../terminal.js'
import { CommandFailure, messageOf } from './failure.js'
import { EXIT_CODES, interruptible } from './frame.js'
import { wholeNumber } from './numbers.js'
import { printJson, printTable, shown } from './output.js'
import { progressBar } from './progress.js'

interface MigrateFlags {
  readonly from: string
  readonly to: string
  readonly state: string
  readonly json?: boolean
  readonly quiet?: string
  readonly rate?: number
  readonly timeout?: string
}

export function migrateCommand(): Command {
  return new Command('migrate')
    .description('move queues from one broker to another while everything runs')
    .addCommand(
      step('plan', 'look at both sides and write nothing; exit code 1: it cannot be done as it is').action(
        (queues: string[], flags: MigrateFlags) =>
          withMigration(queues, flags, async (migration, signal) => {
            const plan = await migration.plan({ signal })
            if (flags.json) printJson(plan)
            else showPlan(plan)
            if (plan.obstacles.length > 0) process.exitCode = 1
          }),
      ),
    )
    .addCommand(
      step('prepare', 'make the topology at the target; consumers read both sides from then on').action(
        (queues: string[], flags: MigrateFlags) =>
          withMigration(queues, flags, async (migration) => {
            await migration.prepare()
            tellPhase(migration, flags)
          }),
      ),
    )
    .addCommand(
      moving('drain', 'move what is at the source to the target; run it again to go on').action(
        (queues: string[], flags: MigrateFlags) =>
          withMigration(queues, flags, (migration, signal) =>
            bridge(flags, 'moved', (options) => migration.drain({ ...options, signal })),
          ),
      ),
    )
    .addCommand(
      step('verify', 'compare what was moved with what is at the target, by id and digest').action(
        (queues: string[], flags: MigrateFlags) =>
          withMigration(queues, flags, async (migration, signal) => {
            const verdict = await migration.verify({ signal })
            if (flags.json) printJson(verdict)
            else showVerdict(verdict)
            if (!verdict.ok) process.exitCode = 1
          }),
      ),
    )
    .addCommand(
      step('cut-over', 'give up the source; there is no way back')
        .option('--timeout <duration>', 'longest until nobody reads the source any more', '10s')
        .action((queues: string[], flags: MigrateFlags) =>
          withMigration(queues, flags, async (migration) => {
            await migration.cutOver({ timeout: (flags.timeout ?? '10s') as '10s' })
            tellPhase(migration, flags)
          }),
        ),
    )
    .addCommand(
      moving('rollback', 'move everything back to the source').action(
        (queues: string[], flags: MigrateFlags) =>
          withMigration(queues, flags, (migration, signal) =>
            bridge(flags, 'moved back', (options) => migration.rollBack({ ...options, signal })),
          ),
      ),
    )
}

function step(name: string, description: string): Command {
  return new Command(name)
    .description(description)
    .argument('<queues...>', 'the queues to move; their dead-letter queues move with them')
    .requiredOption('--from <url>', 'the broker that is left')
    .requiredOption('--to <url>', 'the broker that is gone to')
    .option('--state <folder>', 'what this migration remembers', '.msgloop-migration')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      `
Example:
  $ msgloop migrate ${name} orders mails --from amqp://old --to nats://new
${EXIT_CODES}`,
    )
}

function moving(name: string, description: string): Command {
  return step(name, description)
    .option('--quiet <duration>', 'it ends when nothing came for so long; 0 runs until Ctrl-C', '2s')
    .option('--rate <count>', 'most messages a second', wholeNumber)
}

async function withMigration(
  queues: readonly string[],
  { from, to, state }: MigrateFlags,
  work: (migration: Migration, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const { Migration } = await import('@msgloop/migrate')
  const drivers: Driver[] = []
  await interruptible(async (signal) => {
    try {
      for (const url of [from, to]) {
        const driver = await openDriver(url)
        drivers.push(driver)
        await driver.connect(AbortSignal.timeout(10_000))
      }
    } catch (error) {
      for (const driver of drivers) await driver.close()
      throw new CommandFailure(2, messageOf(error), { cause: error })
    }
    const [source, target] = drivers as [Driver, Driver]
    try {
      const definitions = queues.map((name) => defineQueue(name))
      await work(await Migration.open({ from: source, to: target, queues: definitions, state }), signal)
    } finally {
      await Promise.all(drivers.map((driver) => driver.close()))
    }
  })
}

async function bridge(
  flags: MigrateFlags,
  verb: string,
  run: (options: DrainOptions) => Promise<{ readonly moved: number; readonly leftBehind: number }>,
): Promise<void> {
  const bar = progressBar(verb)
  const result = await run({
    quiet: (flags.quiet ?? '2s') as '2s',
    ...(flags.rate !== undefined && { rate: flags.rate }),
    onProgress: ({ moved, leftBehind, perSecond, errors }) =>
      bar.update(moved, undefined, `${perSecond}/s, ${leftBehind} left behind, ${errors} errors`),
    onTrouble: (error) => complain(messageOf(error)),
  }).finally(() => bar.stop())
  if (flags.json) printJson(result)
  else print(`${result.moved} ${verb}, ${result.leftBehind} left behind`)
  if (result.leftBehind > 0)
    throw new CommandFailure(
      1,
      `${result.leftBehind} messages cannot be moved; see left-behind.ndjson in ${flags.state}`,
    )
}

function tellPhase({ phase }: Migration, { json }: MigrateFlags): void {
  if (json) printJson({ phase })
  else print(`phase: ${phase}`)
}

function showPlan({ from, to, queues, losses, obstacles, expectedSeconds }: MigrationPlan): void {
  print(paint.bold(`from ${from} to ${to}`))
  printTable(
    ['queue', 'ready', 'in flight', 'delayed', 'looked at', 'largest', 'cannot go', 'to be made or changed'],
    queues.map(({ queue, source, seen, misfits, topology }) => [
      queue,
      shown(source?.ready),
      shown(source?.inFlight),
      shown(source?.delayed),
      seen.messages,
      `${seen.largestBytes} B`,
      Object.values(misfits).reduce((sum, count) => sum + count, 0),
      topology
        .map(({ object, field }) => (field === undefined ? object : `${object}: ${field}`))
        .join(', ') || '-',
    ]),
  )
  for (const { queue, misfits } of queues)
    for (const [reason, count] of Object.entries(misfits)) print(`  ${queue}: ${count} messages: ${reason}`)
  for (const loss of losses) print(paint.yellow(`  less: ${loss}`))
  for (const obstacle of obstacles) print(paint.red(`  in the way: ${obstacle}`))
  print(
    obstacles.length > 0 ? 'It cannot be done as it is.' : `It can be done, in some ${expectedSeconds} s.`,
  )
}

function showVerdict({ ok, queues }: MigrationVerdict): void {
  printTable(
    ['queue', 'moved', 'found', 'gone', 'lost', 'doubled', 'altered', 'left behind'],
    queues.map((each) => [
      each.queue,
      each.moved,
      each.found,
      each.gone,
      each.lost.count,
      each.duplicated.count,
      each.altered.count,
      each.leftBehind.count,
    ]),
  )
  for (const { queue, movedDigest, foundDigest, gone } of queues)
    if (gone === 0 && movedDigest !== foundDigest)
      print(paint.red(`  ${queue}: ${movedDigest} became ${foundDigest}`))
  print(
    ok
      ? 'Everything that was moved is there as it was.'
      : 'Not everything is as it was; "gone" is consumed since, or lost.',
  )
}
