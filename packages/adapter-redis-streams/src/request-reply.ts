import { randomUUID } from 'node:crypto'
import {
  type Failure,
  type Replies,
  type Reply,
  type ReplyChannel,
  type ReplyOptions,
  systemClock,
  untilAborted,
  type WireMessage,
} from '@msgloop/core/driver'
import { pack, unpack } from './msgpack.js'
import type { Nodes } from './nodes.js'
import type { Session } from './session.js'
import type { Target } from './url.js'
import { decode, encode } from './wire.js'

/** A server that is silently gone is noticed by the answer that it owes to this. */
const PING_MS = 5_000

/**
 * Answers by publish and subscribe: nothing of a channel is ever stored, and it ends with its connection. In a
 * cluster by shards, so that an answer concerns one node and not all.
 */
export class RedisReplies implements Replies {
  readonly #nodes: Nodes
  readonly #target: Target

  constructor(nodes: Nodes, target: Target) {
    this.#nodes = nodes
    this.#target = target
  }

  async open({ onReply, onLost }: ReplyOptions, signal: AbortSignal): Promise<ReplyChannel> {
    const { prefix, cluster } = this.#target
    const address = `${prefix}:{${randomUUID()}}:replies`
    const session = await this.#nodes.listen(tagOf(address), signal)
    const { redis } = session
    let ping = (): void => {}
    let over = false
    const end = (): void => {
      over = true
      ping()
      session.end()
    }
    const lost = (): void => {
      if (over) return
      end()
      onLost(session.lost())
    }
    redis.once('close', lost)
    // Its slot is another node's now, where nobody is subscribed.
    redis.once('moved', lost)
    redis.on(cluster ? 'smessageBuffer' : 'messageBuffer', (_: Buffer, payload: Buffer) => {
      const message = read(payload)
      // What was on its way when it was closed still comes.
      if (message && !over) onReply(message)
    })
    const keepAsking = (): void => {
      ping = systemClock.after(PING_MS, () => void redis.ping().then(keepAsking, lost))
    }
    try {
      await untilAborted(cluster ? redis.ssubscribe(address) : redis.subscribe(address), signal)
    } catch (error) {
      end()
      this.#nodes.moved(tagOf(address), session, error)
      throw error
    }
    keepAsking()
    return {
      address,
      close: async () => end(),
    }
  }

  async send(batch: readonly Reply[], signal: AbortSignal): Promise<readonly Failure[]> {
    const command = this.#target.cluster ? 'SPUBLISH' : 'PUBLISH'
    const failures: Failure[] = []
    const work = batch.map(async ({ address, message }, index) => {
      const publish = (session: Session): Promise<unknown> =>
        session.call(command, address, pack(encode(message)))
      await this.#nodes.call(tagOf(address), publish).catch((error) => failures.push({ index, error }))
    })
    await untilAborted(Promise.all(work), signal)
    return failures
  }
}

/** What decides on which node a channel is, whoever chose its name. */
const tagOf = (address: string): string => /\{([^}]+)\}/.exec(address)?.[1] ?? address

/** Anybody can publish anything there: what is no answer is none. */
function read(payload: Buffer): WireMessage | undefined {
  try {
    const fields = unpack(payload)
    if (!Array.isArray(fields) || fields.length === 0 || !fields.every(Buffer.isBuffer)) return undefined
    return decode({ id: '', fields }, 1).message
  } catch {
    return undefined
  }
}
