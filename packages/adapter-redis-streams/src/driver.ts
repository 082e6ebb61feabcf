import {
  type Admin,
  type Capabilities,
  type Classified,
  type Destination,
  type Driver,
  type Receiver,
  type ReceiverOptions,
  type Replies,
  type Sender,
  type Source,
  untilAborted,
} from '@msgloop/core/driver'
import { RedisAdmin } from './admin.js'
import { BROWSE, DECLARE, PURGE, STATS } from './admin-scripts.js'
import { capabilities } from './capabilities.js'
import { classify } from './errors.js'
import { keysOf } from './keys.js'
import { Nodes } from './nodes.js'
import { RedisPublisher } from './publisher.js'
import { RECEIVE } from './receive-script.js'
import { RedisReceiver } from './receiver.js'
import { RedisReplies } from './request-reply.js'
import { SEND } from './send-script.js'
import { RedisSender } from './sender.js'
import { EXTEND, LEAVE, SETTLE } from './settle-scripts.js'
import { DECLARE_TOPIC, PUBLISH, SUBSCRIBE, UNSUBSCRIBE } from './topic-scripts.js'
import { asQueue, topicOf } from './topology.js'
import type { Target } from './url.js'

const SCRIPTS = [
  SEND,
  PUBLISH,
  RECEIVE,
  SETTLE,
  EXTEND,
  LEAVE,
  DECLARE,
  DECLARE_TOPIC,
  SUBSCRIBE,
  UNSUBSCRIBE,
  STATS,
  BROWSE,
  PURGE,
]

export class RedisStreamsDriver implements Driver {
  readonly name = 'redis-streams'
  readonly address: string
  readonly capabilities: Capabilities = capabilities
  readonly admin: Admin
  readonly replies: Replies
  readonly #target: Target
  readonly #nodes: Nodes
  readonly #strayed = new Map<string, number>()

  constructor(target: Target) {
    this.address = target.address
    this.#target = target
    this.#nodes = new Nodes(target, SCRIPTS)
    this.replies = new RedisReplies(this.#nodes, target)
    this.admin = new RedisAdmin(this.#nodes, target.prefix)
  }

  async connect(signal: AbortSignal): Promise<void> {
    const session = await this.#nodes.any(signal)
    await untilAborted(session.call('PING'), signal)
  }

  async openSender(destination: Destination, signal: AbortSignal): Promise<Sender> {
    const { prefix } = this.#target
    if (destination.kind === 'topic')
      return RedisPublisher.open(this.#nodes, prefix, destination.name, signal)
    const { name } = asQueue(destination)
    const keys = keysOf(prefix, name)
    return new RedisSender(this.#nodes, await this.#nodes.open(keys.tag, signal), name, keys)
  }

  async openReceiver(source: Source, options: ReceiverOptions, signal: AbortSignal): Promise<Receiver> {
    const spec = asQueue(source)
    const { prefix, cluster } = this.#target
    const keys = keysOf(prefix, spec.name, topicOf(spec))
    const place = {
      nodes: this.#nodes,
      prefix,
      queue: spec.name,
      keys,
      cluster,
      strayed: this.#strayed,
    }
    return RedisReceiver.open(place, spec, options, signal)
  }

  classify(error: unknown): Classified {
    return classify(error)
  }

  /** The `Redis` clients there are: for each node one for commands, and those that block. */
  native(): unknown {
    return this.#nodes.sessions.map(({ redis }) => redis)
  }

  async close(): Promise<void> {
    this.#nodes.close()
  }
}
