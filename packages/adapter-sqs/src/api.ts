import type { Agent } from 'node:http'
import {
  type BatchResultErrorEntry,
  ChangeMessageVisibilityBatchCommand,
  type ChangeMessageVisibilityBatchRequestEntry,
  CreateQueueCommand,
  DeleteMessageBatchCommand,
  type DeleteMessageBatchRequestEntry,
  DeleteQueueCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  ListQueuesCommand,
  type Message,
  type QueueAttributeName,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  type SendMessageBatchRequestEntry,
  SetQueueAttributesCommand,
  SQSClient,
} from '@aws-sdk/client-sqs'
import { DriverError } from '@msgloop/core/driver'
import { failedOf } from './batch-answer.js'
import type { Caller } from './caller.js'
import type { CallKind } from './calls.js'
import { agentOf, clientConfig, REQUEST_MS } from './http.js'
import type { Target } from './url.js'

/** Beyond its own wait, for a poll to be answered. */
const POLL_MARGIN_MS = 10_000

export interface Poll {
  readonly max: number
  readonly waitSeconds: number
  readonly visibilitySeconds: number
}

/**
 * The calls of SQS that are needed. Polls have a client of their own: they would keep the others' connections busy waiting.
 */
export class Api {
  readonly requests: SQSClient
  readonly polls: SQSClient
  readonly #target: Target
  readonly #caller: Caller
  readonly #pollAgent: Agent
  readonly #polling = new Set<Promise<unknown>>()
  /** Broker's clock minus ours, as its last answer told: whole seconds, so the broker's is never behind it. */
  #offsetMs: number | undefined

  constructor(target: Target, caller: Caller) {
    this.#target = target
    this.#caller = caller
    this.requests = client(target, agentOf(target.endpoint, 128), REQUEST_MS)
    this.#pollAgent = agentOf(target.endpoint, 1_024)
    this.polls = client(target, this.#pollAgent, undefined)
    this.polls.middlewareStack.add(
      (next) => async (args) => {
        const result = await next(args)
        this.#readClock(result.response)
        return result
      },
      { step: 'deserialize', priority: 'low' },
    )
  }

  /** Requests made for a queue so far. */
  madeFor(queueUrl: string): number {
    return this.#caller.calls.ofQueue(queueUrl)
  }

  /** Epoch ms by the broker's clock; up to a second late, never early. */
  now(): number {
    return Date.now() + (this.#offsetMs ?? 0)
  }

  async send(QueueUrl: string, Entries: SendMessageBatchRequestEntry[], signal?: AbortSignal) {
    const command = new SendMessageBatchCommand({ QueueUrl, Entries })
    const answer = await this.#call(
      'send',
      QueueUrl,
      (options) => this.requests.send(command, options),
      signal,
    )
    return failedOf(Entries, answer)
  }

  async delete(QueueUrl: string, Entries: DeleteMessageBatchRequestEntry[], signal?: AbortSignal) {
    const command = new DeleteMessageBatchCommand({ QueueUrl, Entries })
    return failed(
      await this.#call('delete', QueueUrl, (options) => this.requests.send(command, options), signal),
    )
  }

  async setVisibility(
    QueueUrl: string,
    Entries: ChangeMessageVisibilityBatchRequestEntry[],
    signal?: AbortSignal,
  ) {
    const command = new ChangeMessageVisibilityBatchCommand({ QueueUrl, Entries })
    return failed(
      await this.#call('visibility', QueueUrl, (options) => this.requests.send(command, options), signal),
    )
  }

  /** Cannot be aborted: what the broker hands to a connection that is gone stays hidden for its whole lease. */
  async receive(QueueUrl: string, { max, waitSeconds, visibilitySeconds }: Poll): Promise<Message[]> {
    const command = new ReceiveMessageCommand({
      QueueUrl,
      MaxNumberOfMessages: max,
      WaitTimeSeconds: waitSeconds,
      VisibilityTimeout: visibilitySeconds,
      MessageSystemAttributeNames: [
        'ApproximateReceiveCount',
        'SentTimestamp',
        'MessageGroupId',
        'DeadLetterQueueSourceArn',
      ],
      MessageAttributeNames: ['All'],
    })
    const late = AbortSignal.timeout(waitSeconds * 1_000 + POLL_MARGIN_MS)
    const poll = this.#call('receive', QueueUrl, () => this.polls.send(command, { abortSignal: late }))
    this.#polling.add(poll)
    try {
      return (await poll).Messages ?? []
    } catch (error) {
      if (!late.aborted) throw error
      const message = `sqs: ${this.#target.address} did not answer a request for messages`
      throw new DriverError('TIMEOUT', message, { retryable: true, cause: error })
    } finally {
      this.#polling.delete(poll)
    }
  }

  /** @throws the SDK's `QueueDoesNotExist` */
  async urlOf(QueueName: string, signal?: AbortSignal): Promise<string> {
    const command = new GetQueueUrlCommand({ QueueName })
    const { QueueUrl } = await this.#call(
      'other',
      undefined,
      (options) => this.requests.send(command, options),
      signal,
    )
    return QueueUrl ?? ''
  }

  async create(QueueName: string, Attributes: Record<string, string>, signal: AbortSignal): Promise<string> {
    const command = new CreateQueueCommand({ QueueName, Attributes })
    const { QueueUrl } = await this.#call(
      'other',
      undefined,
      (options) => this.requests.send(command, options),
      signal,
    )
    return QueueUrl ?? ''
  }

  async attributes(QueueUrl: string, signal?: AbortSignal): Promise<Readonly<Record<string, string>>> {
    const AttributeNames: QueueAttributeName[] = ['All']
    const command = new GetQueueAttributesCommand({ QueueUrl, AttributeNames })
    const answer = await this.#call(
      'other',
      QueueUrl,
      (options) => this.requests.send(command, options),
      signal,
    )
    return answer.Attributes ?? {}
  }

  async setAttributes(QueueUrl: string, attributes: Readonly<Record<string, string>>): Promise<void> {
    const command = new SetQueueAttributesCommand({ QueueUrl, Attributes: { ...attributes } })
    await this.#call('other', QueueUrl, (options) => this.requests.send(command, options))
  }

  /** URLs of queues whose names begin so. */
  async list(QueueNamePrefix: string): Promise<readonly string[]> {
    const urls: string[] = []
    let NextToken: string | undefined
    do {
      const command = new ListQueuesCommand({ QueueNamePrefix, NextToken, MaxResults: 1_000 })
      const page = await this.#call('other', undefined, (options) => this.requests.send(command, options))
      urls.push(...(page.QueueUrls ?? []))
      NextToken = page.NextToken || undefined
    } while (NextToken !== undefined)
    return urls
  }

  async remove(QueueUrl: string, signal?: AbortSignal): Promise<void> {
    const command = new DeleteQueueCommand({ QueueUrl })
    await this.#call('other', QueueUrl, (options) => this.requests.send(command, options), signal)
    this.#caller.calls.forget(QueueUrl)
  }

  /** Proves that the broker answers. Who may not list queues has been answered, too. */
  async greet(signal: AbortSignal): Promise<void> {
    const command = new ListQueuesCommand({ MaxResults: 1, QueueNamePrefix: `${this.#target.prefix}msgloop` })
    try {
      await this.#call('other', undefined, (options) => this.requests.send(command, options), signal)
    } catch (error) {
      if (!(error instanceof Error) || !/^AccessDenied(Exception)?$/.test(error.name)) throw error
    }
  }

  /** Polls under way end by themselves, and what they still bring can be given back; they hold up no exit. */
  close(): void {
    if (this.#polling.size === 0) {
      this.#destroy()
      return
    }
    for (const sockets of Object.values(this.#pollAgent.sockets))
      for (const socket of sockets ?? []) socket.unref()
    void Promise.allSettled(this.#polling).then(() => setTimeout(() => this.#destroy(), LINGER_MS).unref())
  }

  #destroy(): void {
    this.requests.destroy()
    this.polls.destroy()
  }

  #call<T>(
    kind: CallKind,
    queueUrl: string | undefined,
    request: (options: { abortSignal?: AbortSignal }) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    return this.#caller.call({ kind, queueUrl }, request, signal)
  }

  #readClock(response: unknown): void {
    const headers: unknown = typeof response === 'object' && response && Reflect.get(response, 'headers')
    const date: unknown = typeof headers === 'object' && headers && Reflect.get(headers, 'date')
    const at = typeof date === 'string' ? Date.parse(date) : Number.NaN
    if (Number.isNaN(at)) return
    // Whole seconds, cut off: of all that were told, the latest is the nearest. It must not go back between the
    // receipts of one message, or a hop would seem not to be over yet.
    const offsetMs = at - Date.now()
    const known = this.#offsetMs ?? Number.NEGATIVE_INFINITY
    if (offsetMs > known || offsetMs < known - CLOCK_SET_MS) this.#offsetMs = offsetMs
  }
}

/** The part of a second that is cut off, and the way of an answer. A clock that differs by more was set. */
const CLOCK_SET_MS = 1_500

/** After the last poll, for what it brought to be given back. */
const LINGER_MS = 5_000

function client(target: Target, agent: Agent, requestTimeout: number | undefined): SQSClient {
  return new SQSClient({
    ...clientConfig(target, target.endpoint, agent, requestTimeout),
    // A queue's URL names the host the broker believes it has, which a proxy or a container changes.
    useQueueUrlAsEndpoint: false,
    // TLS and TCP check what travels; one message found wrong here would take nine others along.
    md5: false,
  })
}

/** A request whose entries all succeeded has no such list, or an empty one. */
function failed({ Failed }: { Failed?: BatchResultErrorEntry[] | undefined }): BatchResultErrorEntry[] {
  return Failed ?? []
}
