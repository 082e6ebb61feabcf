import type { Driver, Failure, QueueSpec, Sender } from './driver.js'
import { LANES } from './lanes.js'
import { splitByLane } from './split-by-lane.js'

/** One sender per lane, highest first; each message goes to its own. */
export async function openLanedSender(
  driver: Driver,
  lanes: readonly QueueSpec[],
  signal: AbortSignal,
): Promise<Sender> {
  const opened = await Promise.allSettled(lanes.map((lane) => driver.openSender(lane, signal)))
  const senders = opened.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  const close = async (): Promise<void> => {
    await Promise.all(senders.map((sender) => sender.close()))
  }
  const failed = opened.find((each) => each.status === 'rejected')
  if (failed) {
    await close().catch(() => {})
    throw failed.reason
  }
  return {
    async send(batch, abort): Promise<readonly Failure[]> {
      return await splitByLane(
        batch,
        ({ message }) => LANES.indexOf(message.lane ?? 'normal'),
        async (part, lane) => (await senders[lane]?.send(part, abort)) ?? [],
      )
    },
    close,
  }
}
