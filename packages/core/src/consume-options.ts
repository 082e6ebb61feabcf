import { hostname } from 'node:os'
import type { ConsumeOptions } from './consumer.js'
import { milliseconds } from './duration.js'
import { onlyKnown, positiveInteger, wholeNumber } from './options.js'

const KNOWN: readonly (keyof ConsumeOptions)[] = [
  'concurrency',
  'prefetch',
  'handlerTimeout',
  'middleware',
  'name',
  'onError',
  'inbox',
]
let made = 0

export interface ResolvedConsume {
  readonly name: string
  readonly concurrency: number
  readonly prefetch: number
  readonly handlerTimeoutMs: number | undefined
}

/** @throws MsgloopError `INVALID` */
export function resolveConsume(at: string, options: ConsumeOptions<unknown>): ResolvedConsume {
  onlyKnown(at, options, KNOWN)
  return {
    name: options.name ?? `${hostname()}:${process.pid}:${++made}`,
    concurrency: positiveInteger(`${at}: option "concurrency"`, options.concurrency ?? 16),
    prefetch: wholeNumber(`${at}: option "prefetch"`, options.prefetch ?? 0),
    handlerTimeoutMs:
      options.handlerTimeout === undefined
        ? undefined
        : milliseconds(`${at}: option "handlerTimeout"`, options.handlerTimeout),
  }
}
