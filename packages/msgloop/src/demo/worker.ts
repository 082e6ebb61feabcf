import type { Consumer, Middleware, Queue } from '@msgloop/core'
import type { Mail } from './mail.js'
import type { Smtp } from './smtp.js'
import type { Render } from './templates.js'

export interface WorkerOptions {
  readonly name: string
  readonly render: Render
  readonly smtp: Smtp
  readonly middleware?: readonly Middleware[]
}

/**
 * A worker: renders and sends one mail at a time. It never acks, retries or dead-letters; what it
 * throws, the queue's definition judges.
 */
export function work(queue: Queue<Mail>, { name, render, smtp, middleware = [] }: WorkerOptions): Consumer {
  return queue.consume(
    async (mail, { id, timestamp, signal }) => {
      await smtp.send({ id, date: timestamp, to: mail.to, text: render(mail), signal })
    },
    { name, concurrency: 1, middleware },
  )
}
