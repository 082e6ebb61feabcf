import { defineQueue, type ReceiveOptions } from '@msgloop/core'
import type { Command } from 'commander'
import { flushed } from '../terminal.js'
import { brokerCommand, type FrameOptions, withBroker } from './frame.js'
import { wholeNumber } from './numbers.js'
import { printMessage } from './shown-message.js'

interface ReceiveFlags extends FrameOptions {
  readonly max: number
  readonly wait: string
  readonly follow?: boolean
  readonly release?: boolean
  readonly lanes?: boolean
}

/** Messages taken at once. */
const MOST = 100

export function receiveCommand(): Command {
  return brokerCommand(
    'receive',
    'take messages off a queue and print them',
    'receive orders --max 10',
    'receive orders --follow --json | jq .body',
    'receive orders --release    # look at the next one, and give it back',
  )
    .argument('<queue>', 'its name')
    .option('-n, --max <count>', 'most messages', wholeNumber, 1)
    .option('--wait <duration>', 'how long to wait for the first', '0s')
    .option('-f, --follow', 'go on until Ctrl-C')
    .option(
      '--release',
      'give them back in the end instead of taking them; counts as a delivery on most brokers',
    )
    .option('--lanes', 'the queue has lanes')
    .action(async (name: string, flags: ReceiveFlags) => {
      await withBroker(flags, async ({ broker, signal }) => {
        const queue = broker.queue(defineQueue(name, flags.lanes ? { lanes: true } : {}))
        const options = {
          wait: (flags.follow ? '5s' : flags.wait) as NonNullable<ReceiveOptions['wait']>,
          signal,
        }
        const held: { release(): Promise<void> }[] = []
        let left = flags.follow ? Number.POSITIVE_INFINITY : flags.max
        while (left > 0 && !signal.aborted) {
          const deliveries = await queue.receive({ ...options, max: Math.min(left, MOST) })
          if (deliveries.length === 0 && !flags.follow) break
          left -= deliveries.length
          for (const [at, delivery] of deliveries.entries()) {
            printMessage(delivery, flags.json)
            // Nobody has seen it: back it goes, with those behind it.
            if (!(await flushed())) {
              held.push(...deliveries.slice(at))
              left = 0
              break
            }
            if (flags.release) held.push(delivery)
            else await delivery.ack()
          }
        }
        await Promise.all(held.map((delivery) => delivery.release()))
      })
    })
}
