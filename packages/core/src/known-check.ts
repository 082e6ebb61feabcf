import type { Context } from './context.js'
import { bounded } from './context.js'
import { MsgloopError } from './error.js'
import type { QueueTopology } from './topology-keeper.js'
import { wrap } from './wrap.js'

/** How long a consumer of a broker that pushes is quiet before it asks whether it is still known. */
export const CHECK_MS = 3_000

/**
 * A broker that pushes may forget a consumer without telling it. Seen as a consumer that stayed silent
 * on RabbitMQ 3.10 when its queue was deleted and declared again at once; the cause is inferred.
 *
 * @throws MsgloopError `NOT_FOUND`, retryable, when the queue is gone or has no consumer at all
 */
export async function assertKnown(
  context: Context,
  { spec }: QueueTopology,
  stop: AbortSignal,
): Promise<void> {
  const { driver } = context
  const { name } = spec
  try {
    const stats = await bounded(context, CHECK_MS, `counting queue "${name}"`, stop, (signal) =>
      driver.admin.stats(spec, signal),
    )
    if (stats.consumers !== 0) return
  } catch (error) {
    // Whatever else ails the connection, the receiver will hear of it itself.
    if (wrap(driver, { action: 'count', queue: name }, error).code !== 'NOT_FOUND') return
  }
  context.topology.forget(name)
  throw new MsgloopError(
    'NOT_FOUND',
    `${driver.name} at ${driver.address}: queue "${name}" no longer knows its consumer; consuming again`,
    { retryable: true },
  )
}
