import type { PublishBatchRequestEntry } from '@aws-sdk/client-sns'
import { DriverError, type Failure, type Outgoing, type Sender } from '@msgloop/core/driver'
import { type Indexed, inRequests } from './batch.js'
import { PUBLISH_BYTES } from './capabilities.js'
import { isMissing } from './errors.js'
import type { Sns } from './sns.js'
import type { Topics } from './topics.js'
import { Turns } from './turns.js'
import { type Encoded, encode } from './wire.js'

/** A topic is a FIFO topic, so that subscriptions can be ordered by key. */
const TOPIC = { keyed: true, unique: false }

export class TopicSender implements Sender {
  readonly #sns: Sns
  readonly #topics: Topics
  readonly #name: string
  readonly #arn: string
  readonly #turns = new Turns()

  constructor(sns: Sns, topics: Topics, name: string, arn: string) {
    this.#sns = sns
    this.#topics = topics
    this.#name = name
    this.#arn = arn
  }

  async send(batch: readonly Outgoing[], signal: AbortSignal): Promise<readonly Failure[]> {
    const failures: Failure[] = []
    const all: Indexed<Encoded>[] = []
    batch.forEach(({ message }, index) => {
      const item = encode(message, 0, TOPIC)
      if (item.bytes > PUBLISH_BYTES) failures.push({ index, error: tooLarge(this.#name, item.bytes) })
      else all.push({ index, item })
    })
    if (all.length === 0) return failures
    const groups = new Set(all.map(({ item }) => item.entry.MessageGroupId ?? ''))
    return [...failures, ...(await this.#turns.take(groups, () => this.#publish(all, signal)))]
  }

  /** There is nothing to let go of. */
  async close(): Promise<void> {}

  #publish(all: readonly Indexed<Encoded>[], signal: AbortSignal): Promise<Failure[]> {
    return inRequests(all, { most: PUBLISH_BYTES, of: ({ bytes }) => bytes }, async (part) => {
      try {
        return await this.#sns.publish(this.#arn, part.map(published), signal)
      } catch (error) {
        if (isMissing(error)) this.#topics.forget(this.#name)
        throw error
      }
    })
  }
}

function published({ entry }: Encoded, n: number): PublishBatchRequestEntry {
  const { MessageBody, ...rest } = entry
  return { ...rest, Id: String(n), Message: MessageBody }
}

function tooLarge(topic: string, bytes: number): DriverError {
  const message = `sns: a message for topic "${topic}" is ${bytes} bytes large with its attributes; SNS takes ${PUBLISH_BYTES}`
  return new DriverError('TOO_LARGE', message, { outcome: 'rejected' })
}
