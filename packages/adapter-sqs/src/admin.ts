import type { Admin, Drift, QueueSpec, QueueStats, Source, Topology } from '@msgloop/core/driver'
import type { Api } from './api.js'
import { inRequests } from './batch.js'
import { classify, isMissing, untilAborted } from './errors.js'
import { fifoOf } from './fifo.js'
import { physicalName } from './names.js'
import type { QueueRef, Queues } from './queues.js'
import { type Attributes, asQueue, compare, driftError, queueAttributes } from './topology.js'

/** A purge takes messages for so long at a time. */
const PURGE_LEASE_SECONDS = 30
const PURGE_POLLS = 4
/** A FIFO queue in which no message waits for another. */
const ONE_KIND = { order: 'none', dedupWindowMs: 1 } as const

export class SqsAdmin implements Admin {
  readonly #api: Api
  readonly #queues: Queues
  readonly #prefix: string

  constructor(api: Api, queues: Queues, prefix: string) {
    this.#api = api
    this.#queues = queues
    this.#prefix = prefix
  }

  async declare(topology: Topology, signal: AbortSignal): Promise<void> {
    const spec = asQueue(topology)
    const attributes = queueAttributes(spec, await this.#deadLetterArn(spec, true, signal))
    const found = await this.#look(spec, signal)
    if (found) return refuseDrift(spec, attributes, found)
    const name = this.#physical(spec)
    try {
      this.#queues.learn(name, await this.#api.create(name, { ...attributes }, signal))
    } catch (error) {
      if (classify(error).code !== 'DRIFT') throw error
      // Somebody else was quicker, and perhaps declared the same.
      const made = await this.#look(spec, signal)
      if (!made) throw driftError(spec, [], error)
      refuseDrift(spec, attributes, made)
    }
  }

  async verify(topology: Topology, signal: AbortSignal): Promise<readonly Drift[]> {
    const spec = asQueue(topology)
    const object = `queue "${spec.name}"`
    try {
      const found = await this.#look(spec, signal)
      if (!found) return [{ object, expected: 'a queue', actual: 'missing' }]
      return compare(spec, queueAttributes(spec, await this.#deadLetterArn(spec, false, signal)), found)
    } catch (error) {
      if (classify(error).code !== 'DENIED') throw error
      return [
        { object, field: 'attributes', expected: 'as declared', actual: 'unknown: no permission to read' },
      ]
    }
  }

  async stats(source: Source, signal: AbortSignal): Promise<QueueStats> {
    return {
      ready: await this.#ready(await this.#find(asQueue(source), signal), signal),
      inFlight: undefined,
      delayed: undefined,
      dead: undefined,
      oldestAgeMs: undefined,
      consumers: undefined,
    }
  }

  /**
   * By receiving and deleting. SQS's own purge goes on for a minute, and what is sent meanwhile may be lost; it
   * takes what handlers hold and what waits for a retry, too.
   */
  async purge(source: Source, signal: AbortSignal): Promise<number> {
    const ref = await this.#find(asQueue(source), signal)
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
        const failures = await inRequests(
          entries,
          () => 0,
          (part) =>
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
    const spec = asQueue(topology)
    try {
      const { url, name } = await this.#find(spec, signal)
      this.#queues.forget(name)
      await this.#api.remove(url, signal)
    } catch (error) {
      if (!isMissing(error)) throw error
    }
  }

  async #ready({ url }: QueueRef, signal: AbortSignal): Promise<number> {
    const { ApproximateNumberOfMessages } = await this.#api.attributes(url, signal)
    return Number(ApproximateNumberOfMessages ?? 0)
  }

  #find(spec: QueueSpec, signal: AbortSignal): Promise<QueueRef> {
    return this.#queues.find(spec.name, fifoOf(spec), signal)
  }

  #physical(spec: QueueSpec): string {
    return physicalName(this.#prefix, spec.name, fifoOf(spec) !== undefined)
  }

  /** What a queue says of itself; `undefined` when there is none. */
  async #look(spec: QueueSpec, signal: AbortSignal): Promise<Attributes | undefined> {
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
   * go to the standard one.
   */
  async #deadLetterArn(spec: QueueSpec, make: boolean, signal: AbortSignal): Promise<string | undefined> {
    const { deadLetter, deliveryLimit: _, ...rest } = spec
    if (deadLetter === undefined) return undefined
    // Of a FIFO queue it may be another's too, so it is the same for all of them.
    const kind = fifoOf(spec) ? ONE_KIND : {}
    const dead: QueueSpec = { ...rest, ...kind, name: deadLetter, role: 'dead-letter' }
    const found = await this.#look(dead, signal)
    if (found?.QueueArn !== undefined) return found.QueueArn
    if (!make) return `the ARN of queue "${deadLetter}"`
    await this.declare(dead, signal)
    return (await this.#look(dead, signal))?.QueueArn
  }
}

function refuseDrift(spec: QueueSpec, wanted: Attributes, found: Attributes): void {
  const drifts = compare(spec, wanted, found)
  if (drifts.length > 0) throw driftError(spec, drifts)
}
