import type { Entry } from './entry.js'
import { ARRIVING, GROUP } from './keys.js'
import { readEntries } from './replies.js'
import type { Place } from './settle.js'

/** Most entries of one blocking read; nothing tells how large they are. */
const MOST = 16
/** The group or its queue was deleted meanwhile. */
const GONE = /^(NOGROUP|UNBLOCKED)\b/

/**
 * Blocks until something arrives, for at most `ms`, or until `look.wake` is called. It is delivered to
 * nobody yet: `RECEIVE` takes it, or the next receiver that looks. `undefined` when there is no group.
 */
export async function arrivals(
  { nodes, keys }: Place,
  max: number,
  ms: number,
  look: { over: boolean; wake: () => void },
  signal: AbortSignal,
): Promise<readonly Entry[] | undefined> {
  const block = ['BLOCK', Math.max(1, Math.ceil(ms))]
  return nodes.block(
    keys.tag,
    async (blocking, commands) => {
      if (look.over) return []
      look.wake = () => void commands.unblock(blocking)
      const count = ['COUNT', Math.min(max, MOST)]
      try {
        return readEntries(
          await blocking.call(
            'XREADGROUP',
            'GROUP',
            GROUP,
            ARRIVING,
            ...count,
            ...block,
            'STREAMS',
            keys.stream,
            '>',
          ),
        )
      } catch (error) {
        if (error instanceof Error && GONE.test(error.message)) return undefined
        nodes.moved(keys.tag, blocking, error)
        throw error
      } finally {
        look.wake = () => {}
      }
    },
    signal,
  )
}
