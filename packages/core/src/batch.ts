import { MsgloopError } from './error.js'
import { onlyKnown } from './options.js'
import type { SendResult } from './queue.js'

export interface Batch<I> {
  /** The call, to people: `sendBatch to queue "orders"`. */
  readonly at: string
  /** What an item must look like. */
  readonly shape: string
  readonly send: (item: I) => Promise<string>
  readonly wrap: (error: unknown) => MsgloopError
}

/** Sends each item by itself: the sender coalesces them again. One outcome per item, in input order. */
export async function sendEach<I extends { readonly id?: string }>(
  { at, shape, send, wrap }: Batch<I & { readonly signal?: AbortSignal }>,
  items: readonly I[],
  options: { readonly signal?: AbortSignal },
): Promise<SendResult[]> {
  onlyKnown(at, options, ['signal'])
  if (!Array.isArray(items))
    throw new MsgloopError('INVALID', `${at} takes an array of ${shape}`, { outcome: 'rejected' })
  return await Promise.all(
    items.map(async (item: I): Promise<SendResult> => {
      let id: string | undefined
      try {
        const copy = readItem(at, shape, item)
        id = copy.id
        return { ok: true, id: await send({ ...copy, ...options }) }
      } catch (error) {
        return { ok: false, id, error: wrap(error) }
      }
    }),
  )
}

/** A copy: whatever getters of it throw, they throw here. */
function readItem<I>(at: string, shape: string, item: I): I {
  const refused = (cause?: unknown): MsgloopError =>
    new MsgloopError('INVALID', `${at}: an item is not ${shape}`, {
      outcome: 'rejected',
      ...(cause !== undefined && { cause }),
    })
  if (typeof item !== 'object' || item === null) throw refused()
  try {
    return { ...item }
  } catch (error) {
    throw refused(error)
  }
}
