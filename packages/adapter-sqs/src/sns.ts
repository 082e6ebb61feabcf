import {
  CreateTopicCommand,
  DeleteTopicCommand,
  GetSubscriptionAttributesCommand,
  GetTopicAttributesCommand,
  ListSubscriptionsByTopicCommand,
  ListTopicsCommand,
  PublishBatchCommand,
  type PublishBatchRequestEntry,
  SNSClient,
  SubscribeCommand,
  UnsubscribeCommand,
} from '@aws-sdk/client-sns'
import { failedOf } from './batch-answer.js'
import type { Caller } from './caller.js'
import type { CallKind } from './calls.js'
import { agentOf, clientConfig, REQUEST_MS } from './http.js'
import type { Target } from './url.js'

type Attributes = Readonly<Record<string, string>>

/** The calls of SNS that are needed. */
export class Sns {
  readonly client: SNSClient
  readonly #caller: Caller

  constructor(target: Target, caller: Caller) {
    this.client = new SNSClient(
      clientConfig(target, target.snsEndpoint, agentOf(target.snsEndpoint, 64), REQUEST_MS),
    )
    this.#caller = caller
  }

  /** @returns the entries that failed */
  async publish(
    TopicArn: string,
    PublishBatchRequestEntries: PublishBatchRequestEntry[],
    signal?: AbortSignal,
  ) {
    const command = new PublishBatchCommand({ TopicArn, PublishBatchRequestEntries })
    const answer = await this.#call('publish', (options) => this.client.send(command, options), signal)
    return failedOf(PublishBatchRequestEntries, answer)
  }

  /** Resolves with the topic's ARN, also where it was there before, with the same attributes. */
  async createTopic(Name: string, attributes: Attributes, signal: AbortSignal): Promise<string> {
    const command = new CreateTopicCommand({ Name, Attributes: { ...attributes } })
    const { TopicArn } = await this.#call('other', (options) => this.client.send(command, options), signal)
    return TopicArn ?? ''
  }

  /** A hundred ARNs at a time. */
  async topics(NextToken: string | undefined, signal?: AbortSignal) {
    const command = new ListTopicsCommand({ NextToken })
    const page = await this.#call('other', (options) => this.client.send(command, options), signal)
    return {
      arns: (page.Topics ?? []).flatMap(({ TopicArn }) => TopicArn ?? []),
      next: page.NextToken || undefined,
    }
  }

  /** @throws the SDK's `NotFoundException` */
  async topicAttributes(TopicArn: string, signal: AbortSignal): Promise<Attributes> {
    const command = new GetTopicAttributesCommand({ TopicArn })
    const answer = await this.#call('other', (options) => this.client.send(command, options), signal)
    return answer.Attributes ?? {}
  }

  async deleteTopic(TopicArn: string, signal: AbortSignal): Promise<void> {
    const command = new DeleteTopicCommand({ TopicArn })
    await this.#call('other', (options) => this.client.send(command, options), signal)
  }

  /** @throws the SDK's `NotFoundException` where there is no such topic */
  async subscribe(
    TopicArn: string,
    queueArn: string,
    attributes: Attributes,
    signal: AbortSignal,
  ): Promise<void> {
    const binding = { TopicArn, Protocol: 'sqs', Endpoint: queueArn, Attributes: { ...attributes } }
    const command = new SubscribeCommand(binding)
    await this.#call('other', (options) => this.client.send(command, options), signal)
  }

  /** ARN of the subscription of a queue to a topic, if there is one. @throws the SDK's `NotFoundException` */
  async subscriptionOf(TopicArn: string, queueArn: string, signal: AbortSignal): Promise<string | undefined> {
    let NextToken: string | undefined
    do {
      const command = new ListSubscriptionsByTopicCommand({ TopicArn, NextToken })
      const page = await this.#call('other', (options) => this.client.send(command, options), signal)
      const found = page.Subscriptions?.find(({ Endpoint }) => Endpoint === queueArn)
      if (found) return found.SubscriptionArn
      NextToken = page.NextToken || undefined
    } while (NextToken !== undefined)
    return undefined
  }

  async subscriptionAttributes(SubscriptionArn: string, signal: AbortSignal): Promise<Attributes> {
    const command = new GetSubscriptionAttributesCommand({ SubscriptionArn })
    const answer = await this.#call('other', (options) => this.client.send(command, options), signal)
    return answer.Attributes ?? {}
  }

  async unsubscribe(SubscriptionArn: string, signal: AbortSignal): Promise<void> {
    const command = new UnsubscribeCommand({ SubscriptionArn })
    await this.#call('other', (options) => this.client.send(command, options), signal)
  }

  close(): void {
    this.client.destroy()
  }

  #call<T>(
    kind: CallKind,
    request: (options: { abortSignal?: AbortSignal }) => Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    return this.#caller.call({ kind }, request, signal)
  }
}
