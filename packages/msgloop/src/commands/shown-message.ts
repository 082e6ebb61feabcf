import type { Message } from '@msgloop/core'
import { paint, print } from '../terminal.js'
import { printJson, textOf } from './output.js'

/** What there is to show of a message. */
export type ShownMessage = Pick<
  Message<unknown>,
  | 'id'
  | 'headers'
  | 'attempt'
  | 'deliveries'
  | 'replays'
  | 'timestamp'
  | 'contentType'
  | 'type'
  | 'correlationId'
  | 'key'
  | 'subject'
  | 'priority'
  | 'expiresAt'
  | 'body'
>

/** The stable shape of a message in `--json`. */
export function messageJson(message: ShownMessage): Record<string, unknown> {
  return {
    id: message.id,
    body: message.body,
    headers: message.headers,
    attempt: message.attempt,
    deliveries: message.deliveries,
    replays: message.replays,
    timestamp: message.timestamp,
    contentType: message.contentType,
    type: message.type,
    correlationId: message.correlationId,
    key: message.key,
    subject: message.subject,
    priority: message.priority,
    expiresAt: message.expiresAt,
  }
}

export function printMessage(message: ShownMessage, json: boolean | undefined): void {
  if (json) {
    printJson(messageJson(message))
    return
  }
  const facts = [
    message.timestamp?.toISOString(),
    message.attempt > 1 ? `attempt ${message.attempt}` : undefined,
    message.deliveries > 1 ? `${message.deliveries} deliveries` : undefined,
    message.replays > 0 ? `replayed ${message.replays} times` : undefined,
    message.key === undefined ? undefined : `key ${message.key}`,
    message.subject,
    message.type,
    ...Object.entries(message.headers).map(([name, value]) => `${name}: ${value}`),
  ].filter((fact) => fact !== undefined)
  print(`${paint.bold(message.id)} ${paint.dim(facts.join('  '))}`)
  print(shownBody(message.body))
}

/** As it is, where it is text; else as JSON, or base64. */
export function shownBody(body: unknown): string {
  if (body instanceof Uint8Array) return textOf(body)
  return typeof body === 'string' ? body : JSON.stringify(body)
}
