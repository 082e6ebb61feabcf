import type { Broker, QueueStats } from '@msgloop/core'
import { milliseconds, systemClock } from '@msgloop/core'
import { sleep } from '@msgloop/core/driver'
import type { Command } from 'commander'
import { paint, print } from '../terminal.js'
import { brokerCommand, type FrameOptions, withBroker } from './frame.js'
import { printJson, printTable, shown } from './output.js'

interface StatsFlags extends FrameOptions {
  readonly watch?: string | true
}

const EVERY = '2s'
const CLEAR = '\u001b[H\u001b[J'

export function statsCommand(): Command {
  return brokerCommand(
    'stats',
    'what the broker can tell of queues right now',
    'stats orders mails',
    'stats orders --watch 1s',
  )
    .argument('<queues...>', 'their names')
    .option('-w, --watch [every]', `again and again until Ctrl-C; every ${EVERY} unless told otherwise`)
    .addHelpText('after', '\n"-" stands for what the broker cannot tell.')
    .action(async (names: string[], flags: StatsFlags) => {
      await withBroker(flags, async ({ broker, signal }) => {
        if (flags.watch === undefined) return show(names, await read(broker, names), flags.json)
        const every = milliseconds('--watch', (flags.watch === true ? EVERY : flags.watch) as '2s')
        while (!signal.aborted) {
          const all = await read(broker, names)
          if (!flags.json && process.stdout.isTTY) process.stdout.write(CLEAR)
          if (!flags.json) print(paint.dim(`${broker.name}, ${new Date().toISOString()}`))
          show(names, all, flags.json)
          await sleep(systemClock, every, signal)
        }
      })
    })
}

const read = (broker: Broker, names: readonly string[]): Promise<QueueStats[]> =>
  Promise.all(names.map((name) => broker.queue(name).stats()))

function show(names: readonly string[], all: readonly QueueStats[], json: boolean | undefined): void {
  if (json) {
    printJson(Object.fromEntries(names.map((name, at) => [name, all[at]])))
    return
  }
  printTable(
    ['queue', 'ready', 'in flight', 'delayed', 'dead', 'oldest', 'consumers'],
    names.map((name, at) => {
      const { ready, inFlight, delayed, dead, oldestAgeMs, consumers } = all[at] ?? ({} as QueueStats)
      const oldest = oldestAgeMs === undefined ? '-' : `${Math.round(oldestAgeMs / 1_000)} s`
      return [name, shown(ready), shown(inFlight), shown(delayed), shown(dead), oldest, shown(consumers)]
    }),
  )
}
