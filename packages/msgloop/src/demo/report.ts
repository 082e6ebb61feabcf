import type { FlowEvent } from '@msgloop/core'
import { onFlow } from '@msgloop/core'

/** What is told about the workers, from this process or over IPC from another: plain JSON. */
export type Report =
  | { readonly kind: 'flow'; readonly event: FlowEvent }
  /** An e-mail went out. */
  | { readonly kind: 'mailed'; readonly id: string }
  /** The worker receives. */
  | { readonly kind: 'ready' }
  /** The worker has sent this mail's e-mail and will never get to the ack. */
  | { readonly kind: 'stuck'; readonly id: string }
  | { readonly kind: 'failed'; readonly message: string }

/** Reports every step of every message in this process, until the function returned is called. */
export function reportFlow(report: (report: Report) => void): () => void {
  return onFlow((event) => report({ kind: 'flow', event: { ...event, error: plain(event.error) } }))
}

export function isReport(message: unknown): message is Report {
  return typeof message === 'object' && message !== null && 'kind' in message
}

/** Errors do not survive JSON. */
function plain(error: unknown): { readonly name: string; readonly message: string } | undefined {
  if (error === undefined) return undefined
  if (error instanceof Error) return { name: error.name, message: error.message }
  return { name: 'Error', message: String(error) }
}
