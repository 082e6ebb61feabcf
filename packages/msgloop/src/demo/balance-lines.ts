import type { DeadLetter } from '@msgloop/core'
import type { Paint } from '../terminal.js'
import type { Balance } from './balance.js'

/** The balance for people, with what is off and what was done twice. */
export function balanceLines(result: Balance, dead: readonly DeadLetter<unknown>[], paint: Paint): string[] {
  const { sent, processed, effects, duplicates, lost, twofold, strange, even } = result
  const reasons = dead.map(({ id, reason }) => `${id} ${reason}`).join(', ')
  const lines = [
    `  sent       ${sent}`,
    `  processed  ${processed}${paint.dim(`  by ${effects} e-mails`)}`,
    `  dead       ${result.dead}${reasons && paint.dim(`  ${reasons}`)}`,
    '',
  ]
  const off = (ids: readonly string[], what: string): void => {
    if (ids.length > 0) lines.push(paint.red(`  ${what}: ${ids.join(', ')}`))
  }
  off(lost, 'lost')
  off(twofold, 'both processed and dead')
  off(strange, 'never sent')
  const equation = `${sent} sent = ${processed} processed + ${result.dead} dead`
  lines.push(
    even ? paint.green(`  ✓ ${equation}: nothing is lost`) : paint.red(`  ✗ OFF BALANCE: ${equation}`),
  )
  if (duplicates.length > 0)
    lines.push(
      paint.yellow(`  ! sent twice: ${duplicates.join(', ')}`),
      '    Its worker was killed between the effect and the ack. At-least-once repeats such a message',
      '    rather than lose it: make effects idempotent by message.id.',
    )
  return lines
}
