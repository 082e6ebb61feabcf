import type { QueueDefinition } from '@msgloop/core'
import { defineQueue, fixed } from '@msgloop/core'

/** The queue of every fault test, in every process that takes part. */
export function faultQueue(name: string, sendTimeout: '30s' | '3s' = '30s'): QueueDefinition<{ n: number }> {
  return defineQueue(name, {
    // Where a hand-over whose process died is an attempt, none of these messages may run out of them.
    retry: fixed({ attempts: 100, delay: '200ms' }),
    maxDeliveries: 300,
    lease: '5s',
    sendTimeout,
  })
}
