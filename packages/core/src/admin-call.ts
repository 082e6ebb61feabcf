import type { Context } from './context.js'
import { bounded } from './context.js'
import type { Topology } from './driver.js'
import { kindOf, nameOf } from './topology-keeper.js'
import { wrap } from './wrap.js'

const CALL_MS = 30_000

/** A call to the broker that is not on the hot path: bounded in time, its error wrapped. */
export async function adminCall<R>(
  context: Context,
  action: string,
  spec: Topology,
  call: (signal: AbortSignal) => Promise<R>,
): Promise<R> {
  context.assertOpen()
  try {
    return await bounded(context, CALL_MS, `${action} of ${nameOf(spec)}`, undefined, call)
  } catch (error) {
    throw wrap(context.driver, { action, [kindOf(spec)]: spec.name }, error)
  }
}
