/** The keys of one queue. All hold the same hash tag, so in a cluster they are on one node. */
export interface Keys {
  readonly tag: string
  /** Stream: what is ready and what is handed over. */
  readonly stream: string
  /** Hash: what the queue was declared with. It exists exactly while the queue does. */
  readonly settings: string
  /** Sorted set: messages by when they are due. */
  readonly delayed: string
  /** Sorted set: hand-overs by when their lease ends. */
  readonly leases: string
  /** Sorted set: ids of the duplicate window, by when it ends. */
  readonly ids: string
  /** Sorted set: receivers, by when they are taken for dead. */
  readonly receivers: string
  /** Hash: of each key that is under way, whose turn it is. See `turns-script.ts`. */
  readonly turns: string
  /** Sorted set: entries whose turn it is not, by key and then by id. */
  readonly waiting: string
}

/** Consumer group of every queue. */
export const GROUP = 'msgloop'
/** Whom a blocking read delivers to, until the receiver has taken what arrived: see `receive-script.ts`. */
export const ARRIVING = 'arriving'

/**
 * A queue, its `<name>.dlq` and what is beside that share a tag: between them a message moves in one step, in a
 * cluster too, while queues that have nothing to do with each other spread over its nodes.
 */
const tagOf = (queue: string): string => queue.replace(/(?<=.)(\.dlq)+(\.quarantine|\.canary)?$/, '')

/** A subscription has the tag of its topic, which fills all of its subscriptions in one step. */
export function keysOf(prefix: string, queue: string, topic?: string): Keys {
  const tag = topic ?? tagOf(queue)
  const stream = `${prefix}:{${tag}}:${queue}`
  return {
    tag,
    stream,
    settings: `${stream}:settings`,
    delayed: `${stream}:delayed`,
    leases: `${stream}:leases`,
    ids: `${stream}:ids`,
    receivers: `${stream}:receivers`,
    turns: `${stream}:turns`,
    waiting: `${stream}:waiting`,
  }
}

export const allKeys = (keys: Keys): readonly string[] => [
  keys.stream,
  keys.settings,
  keys.delayed,
  keys.leases,
  keys.ids,
  keys.receivers,
  keys.turns,
  keys.waiting,
]

/** Hash: the patterns of each subscription by its name, and what changes whenever they do. It exists exactly while the topic does. */
export const routesKeyOf = (prefix: string, topic: string): string => `${prefix}:{${topic}}:${topic}:routes`

/** Field of the routes that is no subscription: those have a dot in their names. */
export const REVISION = 'revision'

/** Keys of settings that other kinds of queues of this name would have: subscriptions of any topic it may begin with. */
export function namesakes(prefix: string, name: string, topic?: string): readonly Keys[] {
  const own = keysOf(prefix, name, topic)
  const topics = [...name.matchAll(/\./g)].map(({ index }) => name.slice(0, index))
  const all = [keysOf(prefix, name), ...topics.map((each) => keysOf(prefix, name, each))]
  return all.filter(({ settings }) => settings !== own.settings)
}
