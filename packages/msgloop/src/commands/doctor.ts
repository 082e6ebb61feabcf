import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import type { CaseResult, Harness, Report } from '@msgloop/conformance'
import { Command } from 'commander'
import { openDriver } from '../open-driver.js'
import { complain, paint, print } from '../terminal.js'
import { CommandFailure, messageOf } from './failure.js'
import { EXIT_CODES } from './frame.js'
import { wholeNumber } from './numbers.js'
import { printJson } from './output.js'
import { progressBar } from './progress.js'

interface DoctorFlags {
  readonly json?: boolean
  readonly only?: string
  readonly report?: string
  readonly concurrency: number
}

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('prove on a live broker that it keeps the contract, case by case')
    .argument('<url>', 'the broker, such as amqp://localhost:5672')
    .option('--only <clause>', 'only cases whose id begins so, such as R5 or D6-')
    .option('--concurrency <count>', 'cases that run at once', wholeNumber, 8)
    .option('--report <file>', 'also write the table, in Markdown')
    .option('--json', 'print the report as one JSON document')
    .addHelpText(
      'after',
      `
It makes queues of its own, named doctor-…, and deletes them. What a case needs and this machine cannot give (cutting
connections, killing consumers) is skipped, and says so.

Examples:
  $ msgloop doctor amqp://localhost:5672
  $ msgloop doctor redis://localhost --only D --report redis.md
${EXIT_CODES}`,
    )
    .action(async (url: string, flags: DoctorFlags) => {
      const { cases, runCases, toJson, toMarkdown } = await import('@msgloop/conformance')
      const filter = ({ id }: { readonly id: string }): boolean => id.startsWith(flags.only ?? '')
      const total = cases.filter(filter).length
      if (total === 0) throw new CommandFailure(2, `there is no case whose id begins with "${flags.only}"`)
      const harness = await harnessOf(url)
      const bar = progressBar('cases')
      let done = 0
      const report = await runCases(harness, {
        filter,
        concurrency: flags.concurrency,
        onResult: (result) => bar.update(++done, total, result.status === 'failed' ? result.id : ''),
      })
      bar.stop()
      if (flags.report !== undefined) await writeFile(flags.report, toMarkdown([report]))
      if (flags.json) printJson(JSON.parse(toJson(report)))
      else tell(report)
      if (report.results.some(({ status }) => status === 'failed')) process.exitCode = 1
    })
}

async function harnessOf(url: string): Promise<Harness> {
  try {
    const driver = await openDriver(url)
    await driver.connect(AbortSignal.timeout(10_000))
    const { name } = driver
    await driver.close()
    const run = randomUUID().slice(0, 8)
    let made = 0
    return {
      adapter: name,
      version: '',
      ...(name === 'aws_sqs' && { unordered: 'SQS promises no order in standard queues' }),
      secrets: secretsOf(url),
      openDriver: () => openDriver(url),
      unique: (prefix) => `doctor-${run}-${prefix}-${++made}`,
      async close() {},
    }
  } catch (error) {
    throw new CommandFailure(2, messageOf(error), { cause: error })
  }
}

/** The suite fails when any error tells one of them. */
function secretsOf(url: string): readonly string[] {
  const { password } = URL.canParse(url) ? new URL(url) : { password: '' }
  return password === '' ? [] : [decodeURIComponent(password)]
}

function tell({ adapter, results }: Report): void {
  const of = (status: CaseResult['status']): CaseResult[] => results.filter((each) => each.status === status)
  const [passed, failed, skipped] = [of('passed'), of('failed'), of('skipped')]
  for (const { id, name, reason } of failed) print(`${paint.red('✗')} ${id}: ${name}\n  ${reason ?? ''}`)
  for (const { id, reason } of skipped) print(paint.dim(`- ${id} skipped: ${reason ?? ''}`))
  for (const { id, reason } of passed) if (reason) print(paint.dim(`! ${id}: ${reason}`))
  print(
    `${adapter}: ${paint.green(`${passed.length} passed`)}, ${failed.length} failed, ${skipped.length} skipped`,
  )
  if (failed.length > 0) complain('this broker does not keep the contract as it is set up; see above')
}
