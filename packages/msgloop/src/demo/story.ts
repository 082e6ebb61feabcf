import type { Broker, DeadLetter, Queue } from '@msgloop/core'
import { paint } from '../terminal.js'
import { untilAborted } from '../until-aborted.js'
import { balance, exitCodeOf } from './balance.js'
import { balanceLines } from './balance-lines.js'
import { Crew } from './crew.js'
import { deadLetterTable } from './dead-letter-table.js'
import { Ledger } from './ledger.js'
import { lifeLine } from './life-line.js'
import { defineMails, type Mail } from './mail.js'
import { isMemory } from './own-broker.js'
import { reportFlow } from './report.js'
import { sendMails, sendMalformed } from './shop.js'
import { fixed, withBug } from './templates.js'

/** After an interruption, what the mails under way get to end: more than the longest backoff. */
const LAST_MAILS_MS = 3_000

export interface Stage {
  readonly broker: Broker
  /** Where the broker is, for `connect`. */
  readonly url: string
  /** Name of the queue to use; nobody else uses it. */
  readonly queue: string
  readonly say: (line?: string) => void
  readonly signal: AbortSignal
}

/** The demo from the first worker to the balance. Resolves with the exit code. */
export async function tellStory({ broker, url, queue: name, say, signal }: Stage): Promise<0 | 1> {
  const queue = broker.queue(defineMails(name))
  const addresses = new Map<string, string>()
  const ledger = new Ledger(name, (life) =>
    say(lifeLine(life, addresses.get(life.id) ?? '(no address)', paint)),
  )
  const crew = new Crew(queue, ledger, say)
  const stopReporting = reportFlow((report) => ledger.take(report))
  const sent: string[] = []
  try {
    return await untilAborted(act(), signal)
  } catch (error) {
    // A retry that comes back to a queue which is deleted would be litter on somebody's broker.
    if (!isMemory(url))
      await untilAborted(ledger.ended(sent), AbortSignal.timeout(LAST_MAILS_MS)).catch(() => {})
    throw error
  } finally {
    stopReporting()
    await crew.dismiss()
  }

  async function act(): Promise<0 | 1> {
    await crew.start(withBug)
    await crew.startDoomed(url, signal)
    introduce()
    await produce()
    await ledger.ended(sent)
    await crew.doomedIsGone
    await showDeadLetters()
    await deployFix()
    await ledger.ended(sent)
    await crew.stop()
    return await settleAccounts()
  }

  function introduce(): void {
    say(`  queue    ${name}: 4 attempts, exponential backoff from 300 ms with jitter`)
    say('  workers  A and B in this process')
    say(`           C, ${crew.doomed}`)
    say('  trouble  a mail server that greylists (turns new mail away for a while), an address that does')
    say('           not exist, a message that is no mail, and a bug in the template order.confirmation;')
    say('           and worker C will be killed with a mail in its hands')
    headline('Each line is the whole life of one message, printed when it ends')
  }

  async function produce(): Promise<void> {
    sent.push(await sendMalformed(url, name))
    const note = (id: string, to: string): void => {
      addresses.set(id, to)
      sent.push(id)
    }
    await sendMails(queue, note, signal)
  }

  async function showDeadLetters(): Promise<void> {
    headline(`Dead letters: queue.deadLetters.list() of ${queue.deadLetters.queue.name}`)
    say(deadLetterTable(await deadLetters(queue, signal), paint))
  }

  async function deployFix(): Promise<void> {
    headline('The fix is deployed: A and B restart with it, and what died of the bug is replayed')
    await crew.stop()
    await crew.start(fixed)
    const dry = await queue.deadLetters.replay({}, { dryRun: true, signal })
    const reasons = Object.entries(dry.reasons).map(([reason, count]) => `${count} ${reason}`)
    say(`  replay({}, { dryRun: true })       would move ${dry.replayed}: ${reasons.join(', ')}`)
    const { replayed, kept } = await queue.deadLetters.replay({ reason: 'exhausted' }, { signal })
    say(`  replay({ reason: 'exhausted' })    moved ${replayed}, kept ${kept}`)
    say()
    const promised = dry.reasons.exhausted ?? 0
    if (replayed !== promised)
      throw new Error(`the dry run counted ${promised} exhausted, replay moved ${replayed}`)
  }

  async function settleAccounts(): Promise<0 | 1> {
    const dead = await deadLetters(queue, signal)
    const result = balance({ sent, mailed: ledger.mailed, dead: dead.map(({ id }) => id) })
    headline('Balance')
    for (const line of balanceLines(result, dead, paint)) say(line)
    return exitCodeOf(result)
  }

  function headline(text: string): void {
    say()
    say(paint.bold(text))
    say()
  }
}

async function deadLetters(queue: Queue<Mail>, signal: AbortSignal): Promise<DeadLetter<Mail>[]> {
  const entries: DeadLetter<Mail>[] = []
  for await (const entry of queue.deadLetters.list({}, { signal })) entries.push(entry)
  return entries
}
