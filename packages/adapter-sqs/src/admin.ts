import {
  type Admin,
  type Drift,
  DriverError,
  type QueueSpec,
  type QueueStats,
  type Source,
  type Topology,
  untilAborted,
} from '@msgloop/core/driver'
import type { Api } from './api.js'
import { inRequests, SMALL } from './batch.js'
import { classify, isMissing } from './errors.js'
import { fifoOf } from './fifo.js'
import { physicalName } from './names.js'
import { queuePolicy } from './queue-policy.js'
import type { QueueRef, Queues } from './queues.js'
import type { TopicAdmin } from './topic-admin.js'
import { type Attributes, compare, driftError, type Neighbours, queueAttributes } from './topology.js'
import { NO_SNS } from './url.js'

/** A purge takes messages for so long at a time. */
const PURGE_LEASE_SECONDS = 30
const PURGE_POLLS = 4
/** A FIFO queue in which no message waits for another. */
const ONE_KIND = { order: 'none', dedupWindowMs: 1 } as const

export class SqsAdmin implements Admin {
  readonly #api: Api
  readonly #queues: Queues
  readonly #prefix: string
  /** Absent: there is no SNS. */
  readonly #topics: TopicAdmin | undefined

  constructor(api: Api, queues: Queues, prefix: string, topics: TopicAdmin | undefined) {
    this.#api = api
    this.#queues = queues
    this.#prefix = prefix
    this.#topics = topics
  }

  async declare(topology: Topology, signal: AbortSignal): Promise<void> {
    if (topology.kind === 'topic') return await this.#topicsFor(topology).declare(topology, signal)
    const neighbours = await this.#neighbours(topology, undefined, signal)
    await this.#declareQueue(topology, queueAttributes(topology, neighbours), signal)
    if (topology.kind === 'subscription')
      await this.#topicsFor(topology).bind(topology, neighbours.queueArn, signal)
  }

  async verify(topology: Topology, signal: AbortSignal): Promise<readonly Drift[]> {
    if (topology.kind === 'topic') return await this.#topicsFor(topology).verify(topology, signal)
    const object = `queue "${topology.name}"`
    try {
      const found = await this.#look(topology, signal)
      if (!found) return [{ object, expected: 'a queue', actual: 'missing' }]
      const drifts = compare(
        topology,
        queueAttributes(topology, await this.#neighbours(topology, found, signal)),
        found,
      )
      if (topology.kind !== 'subscription') return drifts
      const binding = this.#topicsFor(topology).verifyBinding(topology, found.QueueArn ?? '', signal)
      return [...drifts, ...(await binding)]
    } catch (error) {
      if (classify(error).code !== 'DENIED') throw error
      return [
        { object, field: 'attributes', expected: 'as declared', actual: 'unknown: no permission to read' },
      ]
    }
  }

  async stats(source: Source, signal: AbortSignal): Promise<QueueStats> {
    const ref = await this.#find(source, signal)
    return {
      ready: await this.#ready(ref, signal),
      inFlight: undefined,
      delayed: undefined,
      dead: undefined,
      oldestAgeMs: undefined,
      consumers: undefined,
      requests: this.#api.madeFor(ref.url),
    }
  }

  /**
   * By receiving and deleting. SQS's own purge goes on for a minute, and what is sent meanwhile may be lost; it
   * takes what handlers hold and what waits for a retry, too.
   */
  async purge(source: Source, signal: AbortSignal): Promise<number> {
    const ref = await this.#find(source, signal)
    let purged = 0
    const drain = async (): Promise<void> => {
      for (let waitSeconds = 0; !signal.aborted; ) {
        const poll = { max: 10, waitSeconds, visibilitySeconds: PURGE_LEASE_SECONDS }
        const messages = await this.#api.receive(ref.url, poll)
        if (messages.length === 0) {
          // Without a wait SQS asks some of its servers only; with one, what becomes due meanwhile is taken along.
          if (waitSeconds > 0 || (await this.#ready(ref, signal)) === 0) return
          waitSeconds = 1
          continue
        }
        waitSeconds = 0
        const entries = messages.map(({ ReceiptHandle }, index) => ({ index, item: { ReceiptHandle } }))
        const failures = await inRequests(entries, SMALL, (part) =>
          this.#api.delete(
            ref.url,
            part.map((item, n) => ({ ...item, Id: String(n) })),
          ),
        )
        if (failures[0]) throw failures[0].error
        purged += messages.length
      }
    }
    await untilAborted(Promise.all(Array.from({ length: PURGE_POLLS }, drain)), signal)
    return purged
  }

  async delete(topology: Topology, signal: AbortSignal): Promise<void> {
    if (topology.kind === 'topic') return await this.#topicsFor(topology).delete(topology, signal)
    try {
      const { url, name } = await this.#find(topology, signal)
      if (topology.kind === 'subscription') {
        const { QueueArn = '' } = await this.#api.attributes(url, signal)
        await this.#topicsFor(topology).unbind(topology, QueueArn, signal)
      }
      this.#queues.forget(name)
      await this.#api.remove(url, signal)
    } catch (error) {
      if (!isMissing(error)) throw error
    }
  }

  async #declareQueue(spec: Source, wanted: Attributes, signal: AbortSignal): Promise<void> {
    const found = await this.#look(spec, signal)
    if (found) return refuseDrift(spec, wanted, found)
    const name = this.#physical(spec)
    try {
      this.#queues.learn(name, await this.#api.create(name, { ...wanted }, signal))
    } catch (error) {
      if (classify(error).code !== 'DRIFT') throw error
      // Somebody else was quicker, and perhaps declared the same.
      const made = await this.#look(spec, signal)
      if (!made) throw driftError(spec, [], error)
      refuseDrift(spec, wanted, made)
    }
  }

  async #neighbours(
    spec: Source,
    found: Attributes | undefined,
    signal: AbortSignal,
  ): Promise<Neighbours & { queueArn: string }> {
    const deadLetterArn = await this.#deadLetterArn(spec, found, signal)
    // In the same account and region, as SQS wants it.
    const queueArn = `${deadLetterArn?.replace(/[^:]*$/, '') ?? ''}${this.#physical(spec)}`
    if (spec.kind === 'queue') return { deadLetterArn, queueArn }
    const topicArn = await this.#topicsFor(spec).arnOf(spec.topic, signal)
    return { deadLetterArn, queueArn, policy: queuePolicy(queueArn, topicArn) }
  }

  /** @throws DriverError `UNSUPPORTED` */
  #topicsFor({ kind, name }: Topology): TopicAdmin {
    if (this.#topics) return this.#topics
    throw new DriverError('UNSUPPORTED', `sqs: ${kind} "${name}": ${NO_SNS}`, { outcome: 'rejected' })
  }

  async #ready({ url }: QueueRef, signal: AbortSignal): Promise<number> {
    const { ApproximateNumberOfMessages } = await this.#api.attributes(url, signal)
    return Number(ApproximateNumberOfMessages ?? 0)
  }

  #find(spec: Source, signal: AbortSignal): Promise<QueueRef> {
    return this.#queues.find(spec.name, fifoOf(spec), signal)
  }

  #physical(spec: Source): string {
    return physicalName(this.#prefix, spec.name, fifoOf(spec) !== undefined)
  }

  /** What a queue says of itself; `undefined` when there is none. */
  async #look(spec: Source, signal: AbortSignal): Promise<Attributes | undefined> {
    try {
      const { url } = await this.#find(spec, signal)
      return await this.#api.attributes(url, signal)
    } catch (error) {
      if (!isMissing(error)) throw error
      this.#queues.forget(this.#physical(spec))
      return undefined
    }
  }

  /**
   * The queue that SQS itself moves to has to be there first, and of the same kind. The dead letters of the core
   * go to the standard one. Where its source is there already, `found`, it is not made: it would have this ARN.
   */
  async #deadLetterArn(
    spec: Source,
    source: Attributes | undefined,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const { deadLetter, leaseMs, dedupWindowMs, order } = spec
    if (deadLetter === undefined) return undefined
    // Of a FIFO queue it may be another's too, so it is the same for all of them.
    const kind = fifoOf(spec) ? ONE_KIND : {}
    const shared = { leaseMs, dedupWindowMs, order, ...kind }
    const dead: QueueSpec = { ...shared, kind: 'queue', name: deadLetter, role: 'dead-letter' }
    const found = await this.#look(dead, signal)
    if (found?.QueueArn !== undefined) return found.QueueArn
    if (source) return source.QueueArn?.replace(/[^:]*$/, this.#physical(dead))
    await this.declare(dead, signal)
    return (await this.#look(dead, signal))?.QueueArn
  }
}

function refuseDrift(spec: Source, wanted: Attributes, found: Attributes): void {
  const drifts = compare(spec, wanted, found)
  if (drifts.length > 0) throw driftError(spec, drifts)
}
