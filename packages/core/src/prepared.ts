import type { Outgoing } from './driver.js'
import { MsgloopError } from './error.js'
import type { Outlet } from './outlet.js'
import type { Queue, SendOptions } from './queue.js'
import { QueueHandle } from './queue-handle.js'
import type { PublishOptions, Topic } from './topic.js'
import { TopicHandle } from './topic-handle.js'

/**
 * For outboxes: what `queue.send` would hand to its driver, checked and encoded, with its id.
 * @throws MsgloopError `INVALID`, `TOO_LARGE` or `UNSUPPORTED`
 */
export async function prepareSend<T>(queue: Queue<T>, body: T, options?: SendOptions): Promise<Outgoing> {
  if (!(queue instanceof QueueHandle)) throw foreign('sends to a queue that broker.queue(definition) made')
  return await (queue.outlet as Outlet<T>).prepare(body, options)
}

/** For outboxes: as `prepareSend`, for what `topic.publish` would hand on. */
export async function preparePublish<T>(
  topic: Topic<T>,
  subject: string,
  body: T,
  options: PublishOptions = {},
): Promise<Outgoing> {
  if (!(topic instanceof TopicHandle))
    throw foreign('publishes to a topic that broker.topic(definition) made')
  topic.check(subject, options)
  return await (topic.outlet as Outlet<T>).prepare(body, options, { subject })
}

/**
 * For outboxes: sends what was prepared `waitedMs` ago, as `send` and `publish` do; what is left of its delay
 * is waited for by the broker.
 * @throws MsgloopError with `outcome` `rejected` or `unknown`
 */
export async function sendPrepared(
  to: Queue<unknown> | Topic<unknown>,
  outgoing: Outgoing,
  { waitedMs = 0, signal }: { readonly waitedMs?: number; readonly signal?: AbortSignal } = {},
): Promise<void> {
  if (!(to instanceof QueueHandle || to instanceof TopicHandle)) throw foreign('sends by handles of a broker')
  await to.outlet.sendPrepared(outgoing, signal, waitedMs)
}

function foreign(what: string): MsgloopError {
  return new MsgloopError('INVALID', `an outbox ${what}`, { outcome: 'rejected' })
}
