import {
  type Admin,
  type Capabilities,
  type Classified,
  type Destination,
  type Driver,
  DriverError,
  type Receiver,
  type ReceiverOptions,
  type Replies,
  type Sender,
  type Source,
} from '@msgloop/core/driver'
import { SqsAdmin } from './admin.js'
import { Api } from './api.js'
import { Caller } from './caller.js'
import type { Calls } from './calls.js'
import { capabilities } from './capabilities.js'
import { classify } from './errors.js'
import { fifoOf } from './fifo.js'
import { GivenBack } from './given-back.js'
import { logicalName } from './names.js'
import { Queues } from './queues.js'
import { SqsReceiver } from './receiver.js'
import { SqsReplies } from './replies.js'
import { ReplyQueues } from './reply-queues.js'
import { SqsSender } from './sender.js'
import { Sns } from './sns.js'
import { TopicAdmin } from './topic-admin.js'
import { TopicSender } from './topic-sender.js'
import { Topics } from './topics.js'
import { NO_SNS, type Target } from './url.js'

/** SQS has no connections: everything is a request, and what is open is a name that was looked up. */
export class SqsDriver implements Driver {
  readonly name = 'aws_sqs'
  readonly address: string
  readonly capabilities: Capabilities
  readonly admin: Admin
  readonly replies: Replies
  readonly #target: Target
  readonly #caller: Caller
  readonly #api: Api
  /** Absent where there are no topics. */
  readonly #sns: Sns | undefined
  readonly #topics: Topics | undefined
  readonly #queues: Queues
  readonly #givenBack = new GivenBack()

  constructor(target: Target) {
    this.address = target.address
    this.#target = target
    this.#caller = new Caller(target.address)
    this.#api = new Api(target, this.#caller)
    this.#queues = new Queues(this.#api, target.prefix)
    const replyQueues = new ReplyQueues(this.#api, target.prefix, target.replyQueueSeconds)
    this.replies = new SqsReplies(this.#api, this.#queues, replyQueues, target.waitSeconds)
    if (target.topics) {
      this.#sns = new Sns(target, this.#caller)
      this.#topics = new Topics(this.#sns, target.prefix)
    }
    this.capabilities = target.topics ? capabilities : Object.freeze({ ...capabilities, topics: false })
    const topicAdmin = this.#sns && this.#topics && new TopicAdmin(this.#sns, this.#topics)
    this.admin = new SqsAdmin(this.#api, this.#queues, target.prefix, topicAdmin)
  }

  /** Requests made so far: what SQS bills. */
  get calls(): Calls {
    return this.#caller.calls
  }

  connect(signal: AbortSignal): Promise<void> {
    return this.#api.greet(signal)
  }

  async openSender(destination: Destination, signal: AbortSignal): Promise<Sender> {
    if (destination.kind === 'topic') {
      if (!this.#sns || !this.#topics)
        throw new DriverError('UNSUPPORTED', `sqs: topic "${destination.name}": ${NO_SNS}`, {
          outcome: 'rejected',
        })
      const arn = await this.#topics.find(destination.name, signal)
      return new TopicSender(this.#sns, this.#topics, destination.name, arn)
    }
    const ref = await this.#queues.find(destination.name, fifoOf(destination), signal)
    return new SqsSender(this.#api, this.#queues, ref)
  }

  async openReceiver(source: Source, options: ReceiverOptions, signal: AbortSignal): Promise<Receiver> {
    const parts = {
      api: this.#api,
      queues: this.#queues,
      ref: await this.#queues.find(source.name, fifoOf(source), signal),
      waitSeconds: this.#target.waitSeconds,
      givenBack: this.#givenBack,
      nameOf: (physical: string) => logicalName(this.#target.prefix, physical),
    }
    return new SqsReceiver(parts, source, options)
  }

  classify(error: unknown): Classified {
    return classify(error)
  }

  /** The clients of the SDK, and the requests made so far. */
  native(): unknown {
    const { requests, polls } = this.#api
    return { requests, polls, sns: this.#sns?.client, calls: this.calls }
  }

  async close(): Promise<void> {
    this.#api.close()
    this.#sns?.close()
  }
}
