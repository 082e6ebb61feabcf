import { type Drift, DriverError, type SubscriptionSpec, type TopicSpec } from '@msgloop/core/driver'
import { isMissing } from './errors.js'
import { filterPolicy, patternsOf } from './filter-policy.js'
import type { Sns } from './sns.js'
import type { Topics } from './topics.js'

type Attributes = Readonly<Record<string, string>>

/** Only a FIFO topic can fill FIFO queues, and it fills others too. Its own limits are per message group. */
const TOPIC: Attributes = {
  FifoTopic: 'true',
  ContentBasedDeduplication: 'false',
  FifoThroughputScope: 'MessageGroup',
}
const RAW = 'RawMessageDelivery'

/** Topics, and what binds queues to them. */
export class TopicAdmin {
  readonly #sns: Sns
  readonly #topics: Topics

  constructor(sns: Sns, topics: Topics) {
    this.#sns = sns
    this.#topics = topics
  }

  async declare({ name }: TopicSpec, signal: AbortSignal): Promise<void> {
    try {
      this.#topics.learn(name, await this.#sns.createTopic(this.#topics.physicalName(name), TOPIC, signal))
    } catch (error) {
      if (!(error instanceof Error && /already exists/i.test(error.message))) throw error
      throw drifted(`topic "${name}" exists with other attributes`, error)
    }
  }

  async verify({ name }: TopicSpec, signal: AbortSignal): Promise<readonly Drift[]> {
    const object = `topic "${name}"`
    try {
      const found = await this.#sns.topicAttributes(await this.#topics.find(name, signal), signal)
      return Object.entries(TOPIC).flatMap(([field, expected]) => {
        const actual = found[field] ?? expected
        return actual === expected ? [] : [{ object, field, expected, actual }]
      })
    } catch (error) {
      if (!isMissing(error)) throw error
      return [{ object, expected: 'a topic', actual: 'missing' }]
    }
  }

  async delete({ name }: TopicSpec, signal: AbortSignal): Promise<void> {
    try {
      const arn = await this.#topics.find(name, signal)
      this.#topics.forget(name)
      await this.#sns.deleteTopic(arn, signal)
    } catch (error) {
      if (!isMissing(error)) throw error
    }
  }

  /** @throws DriverError `DRIFT` when it is bound with other patterns, `NOT_FOUND` without the topic */
  async bind(spec: SubscriptionSpec, queueArn: string, signal: AbortSignal): Promise<void> {
    try {
      const topicArn = await this.#topics.find(spec.topic, signal)
      const found = await this.#bindingOf(topicArn, queueArn, signal)
      if (!found) {
        const policy = filterPolicy(spec.patterns)
        const attributes = { [RAW]: 'true', ...(policy !== undefined && { FilterPolicy: policy }) }
        return await this.#sns.subscribe(topicArn, queueArn, attributes, signal)
      }
      const drifts = compareBinding(spec, found.attributes)
      if (drifts.length === 0) return
      const fields = drifts.map(({ field, expected, actual }) => `${field} is ${actual}, wanted ${expected}`)
      throw drifted(`${bindingName(spec)} exists otherwise: ${fields.join('; ')}`)
    } catch (error) {
      if (isMissing(error)) this.#topics.forget(spec.topic)
      throw error
    }
  }

  async verifyBinding(
    spec: SubscriptionSpec,
    queueArn: string,
    signal: AbortSignal,
  ): Promise<readonly Drift[]> {
    const missing: Drift = { object: bindingName(spec), expected: 'a binding', actual: 'missing' }
    try {
      const topicArn = await this.#topics.find(spec.topic, signal)
      const found = await this.#bindingOf(topicArn, queueArn, signal)
      return found ? compareBinding(spec, found.attributes) : [missing]
    } catch (error) {
      if (!isMissing(error)) throw error
      return [missing]
    }
  }

  async unbind({ topic }: SubscriptionSpec, queueArn: string, signal: AbortSignal): Promise<void> {
    try {
      const arn = await this.#sns.subscriptionOf(await this.#topics.find(topic, signal), queueArn, signal)
      if (arn !== undefined) await this.#sns.unsubscribe(arn, signal)
    } catch (error) {
      if (!isMissing(error)) throw error
    }
  }

  /** @throws DriverError `NOT_FOUND` */
  arnOf(topic: string, signal: AbortSignal): Promise<string> {
    return this.#topics.find(topic, signal)
  }

  async #bindingOf(topicArn: string, queueArn: string, signal: AbortSignal) {
    const arn = await this.#sns.subscriptionOf(topicArn, queueArn, signal)
    return arn === undefined
      ? undefined
      : { arn, attributes: await this.#sns.subscriptionAttributes(arn, signal) }
  }
}

const bindingName = ({ name, topic }: SubscriptionSpec): string =>
  `binding of queue "${name}" to topic "${topic}"`

function compareBinding(spec: SubscriptionSpec, { FilterPolicy, [RAW]: raw = 'true' }: Attributes): Drift[] {
  const object = bindingName(spec)
  const drifts: Drift[] = []
  const patterns = patternsOf(FilterPolicy)?.join(', ') ?? 'none of ours'
  const wanted = spec.patterns.join(', ')
  if (patterns !== wanted) drifts.push({ object, field: 'patterns', expected: wanted, actual: patterns })
  if (raw.toLowerCase() !== 'true') drifts.push({ object, field: RAW, expected: 'true', actual: raw })
  return drifts
}

function drifted(what: string, cause?: unknown): DriverError {
  const message = `sns: ${what}; connect with topology: 'verify' or 'none' to adopt it as it is, or delete it first`
  return new DriverError('DRIFT', message, { outcome: 'rejected', ...(cause !== undefined && { cause }) })
}
