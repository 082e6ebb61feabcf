import { setMaxListeners } from 'node:events'

/** An AbortController many calls may listen to at once: Node warns of a leak after ten. */
export function stopController(): AbortController {
  const controller = new AbortController()
  setMaxListeners(0, controller.signal)
  return controller
}
