import { defineQueue, json as jsonCodec } from '@msgloop/core'
import type { Delivery } from '@msgloop/core/driver'
import { makeContext, readBody, readBook, resolveQueue, take, userHeaders } from '@msgloop/core/engine'
import type { Command } from 'commander'
import { openDriver } from '../open-driver.js'
import { CommandFailure, messageOf } from './failure.js'
import { brokerCommand, type FrameOptions, interruptible } from './frame.js'
import { wholeNumber } from './numbers.js'
import { printMessage } from './shown-message.js'

interface PeekFlags extends FrameOptions {
  readonly max: number
}

export function peekCommand(): Command {
  return brokerCommand(
    'peek',
    'look at the next messages of a queue without taking them',
    'peek orders --max 20',
    'peek orders.dlq --json',
  )
    .argument('<queue>', 'its name; a dead-letter queue is a queue')
    .option('-n, --max <count>', 'most messages', wholeNumber, 10)
    .addHelpText(
      'after',
      `
Where the broker lets nobody look without taking (RabbitMQ, SQS), messages are taken for a moment and given
back in their order: consumers do not see them meanwhile, and their deliveries rise by one.`,
    )
    .action(async (name: string, flags: PeekFlags) => {
      await interruptible(async (signal) => {
        for (const delivery of await peek(flags.url, name, flags.max, signal)) show(delivery, flags.json)
      })
    })
}

async function peek(url: string, name: string, max: number, signal: AbortSignal): Promise<Delivery[]> {
  const driver = await openDriver(url).catch((error) => {
    throw new CommandFailure(2, messageOf(error), { cause: error })
  })
  try {
    const context = makeContext(driver, { topology: 'none' }, { assertOpen() {}, assertSending() {} })
    const queue = resolveQueue(driver.name, driver.capabilities, defineQueue(name), [])
    const browse = driver.admin.browse?.bind(driver.admin)
    if (browse) return [...(await browse(queue.spec, max, undefined, signal)).entries]
    const seen: Delivery[] = []
    await take(context, queue, signal, async (batch) => {
      seen.push(...batch.map(({ delivery }) => delivery))
      return seen.length < max
    })
    return seen.slice(0, max)
  } finally {
    await driver.close()
  }
}

function show(delivery: Delivery, json: boolean | undefined): void {
  const { message } = delivery
  const { attempt, deliveries, replays } = readBook(delivery)
  printMessage(
    {
      id: message.id,
      body: bodyOf(message),
      headers: userHeaders(message.headers),
      attempt,
      deliveries,
      replays,
      timestamp: message.timestamp > 0 ? new Date(message.timestamp) : undefined,
      contentType: message.contentType,
      type: message.type,
      correlationId: message.correlationId,
      key: message.key,
      subject: message.subject,
      priority: message.lane ?? 'normal',
      expiresAt: message.expiresAt === undefined ? undefined : new Date(message.expiresAt),
    },
    json,
  )
}

/** What cannot be read is shown as it is. */
function bodyOf(message: Delivery['message']): unknown {
  try {
    return readBody(jsonCodec(), message)
  } catch {
    return message.body
  }
}
