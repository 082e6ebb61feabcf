import { randomBytes } from 'node:crypto'
import type { Broker } from '@msgloop/core'
import { Command } from 'commander'
import { sharedUrl } from '../demo/own-broker.js'
import { tellStory } from '../demo/story.js'
import { complain, paint, print } from '../terminal.js'
import { untilAborted } from '../until-aborted.js'
import { messageOf } from './failure.js'
import { openBroker } from './open-broker.js'

/** What the demo may take, on any broker. */
const LIMIT_MS = 20_000
const CLEAN_UP_MS = 3_000
/** What shells report of a program that Ctrl-C ended. */
const INTERRUPTED = 130

export function demoCommand(): Command {
  return new Command('demo')
    .description('a mail service on any broker: retries, dead letters, a killed worker, a replay, a balance')
    .argument('[url]', 'broker to run it on, such as amqp://localhost:5672', 'memory:')
    .addHelpText(
      'after',
      `
It makes a queue of its own, deletes it in the end, and takes a few seconds.

Exit codes:
  0  every message is accounted for
  1  the balance is off, or the demo failed on the way
  2  wrong usage, or no connection`,
    )
    .action(async (url: string) => {
      process.exitCode = await demo(url)
    })
}

async function demo(given: string): Promise<number> {
  const queue = `demo-emails-${randomBytes(3).toString('hex')}`
  const url = sharedUrl(given, queue)
  const broker = await openBroker(url, '5s')
  const stop = new AbortController()
  const say = (line = ''): void => {
    if (!stop.signal.aborted) print(line)
  }
  let exitCode = 0
  const end = (code: number, why: string): void => {
    if (stop.signal.aborted) return
    complain(why)
    exitCode = code
    stop.abort()
  }
  // Not closeOn(): the queue is to be deleted before the broker is closed.
  const interrupt = (): void => end(INTERRUPTED, 'interrupted; cleaning up')
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt)
  const limit = setTimeout(
    () => end(1, `the demo did not end within ${LIMIT_MS / 1000} s; is the broker well?`),
    LIMIT_MS,
  )
  try {
    const { address } = await broker.health()
    say(paint.bold(`msgloop demo: the mail service of a web shop, on ${broker.name} at ${address}`))
    say()
    return await tellStory({ broker, url, queue, say, signal: stop.signal })
  } catch (error) {
    if (!stop.signal.aborted) throw error
    return exitCode
  } finally {
    clearTimeout(limit)
    await cleanUp(broker, queue)
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt)
  }
}

async function cleanUp(broker: Broker, name: string): Promise<void> {
  try {
    const queue = broker.queue(name)
    const deleted = Promise.all([queue.delete(), queue.deadLetters.queue.delete()])
    await untilAborted(deleted, AbortSignal.timeout(CLEAN_UP_MS))
  } catch (error) {
    complain(`queue "${name}" and its dead-letter queue may be left on the broker: ${messageOf(error)}`)
  } finally {
    await broker.close({ timeout: '1s' })
  }
}
