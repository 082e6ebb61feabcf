import { readFile } from 'node:fs/promises'
import { extname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type {
  Broker,
  MessageSource,
  QueueOptions,
  SubscriptionOptions,
  TopologyDefinition,
} from '@msgloop/core'
import { defineQueue } from '@msgloop/core'
import * as v from 'valibot'
import { CommandFailure, messageOf } from './commands/failure.js'

const duration = v.union([v.number(), v.string()], 'give milliseconds, or text such as "30s"')
const count = v.pipe(v.number(), v.integer(), v.minValue(1))

/** What of a subscription can be written as data. */
const source = {
  deadLetter: v.optional(v.string()),
  deadLetterRetention: v.optional(duration),
  lease: v.optional(duration),
  maxLease: v.optional(duration),
  maxDeliveries: v.optional(count),
  maxReplays: v.optional(count),
  guarantee: v.optional(v.picklist(['at-most-once', 'at-least-once', 'exactly-once'])),
  order: v.optional(v.picklist(['none', 'key'])),
}
const queue = v.strictObject({
  ...source,
  sendTimeout: v.optional(duration),
  dedup: v.optional(duration),
  lanes: v.optional(v.boolean()),
})
const subscription = v.strictObject({ ...source, patterns: v.optional(v.array(v.string())) })
const file = v.strictObject({
  queues: v.optional(v.record(v.string(), queue)),
  topics: v.optional(
    v.record(v.string(), v.strictObject({ subscriptions: v.optional(v.record(v.string(), subscription)) })),
  ),
})

/**
 * Queues and topics as a file declares them: JSON, or a module that exports the same, or a `TopologyDefinition`, as
 * its default or as `queues` and `topics`.
 *
 * @throws CommandFailure with exit code 2, naming the place in the file
 */
export async function readTopologyFile(path: string): Promise<TopologyDefinition> {
  try {
    const content = await load(path)
    if (isDefinition(content)) return content
    const checked = v.safeParse(file, content)
    if (checked.success) return definitionOf(checked.output)
    throw new Error(checked.issues.slice(0, 5).map(problem).join('; '))
  } catch (error) {
    throw new CommandFailure(2, `${path}: ${messageOf(error)}`, { cause: error })
  }
}

/** The queue of that name, or the subscription `<topic>.<subscription>`. @throws CommandFailure */
export function queueOf(
  broker: Broker,
  definition: TopologyDefinition,
  name: string,
): MessageSource<unknown> {
  for (const each of definition.queues ?? [])
    if ((typeof each === 'string' ? each : each.name) === name) return broker.queue(each)
  for (const { topic, subscriptions = {} } of definition.topics ?? [])
    for (const [subscription, options] of Object.entries(subscriptions))
      if (`${typeof topic === 'string' ? topic : topic.name}.${subscription}` === name)
        return broker.topic(topic).subscription(subscription, options)
  throw new CommandFailure(2, `the topology file defines no queue or subscription "${name}"`)
}

async function load(path: string): Promise<unknown> {
  if (extname(path) === '.json') return JSON.parse(await readFile(path, 'utf8'))
  if (!['.js', '.mjs'].includes(extname(path))) throw new Error('give a .json, .js or .mjs file')
  const module: { readonly default?: unknown } = await import(pathToFileURL(resolve(path)).href)
  if (module.default !== undefined) return module.default
  return { ...module }
}

/** Lists where the file has names: made with `defineQueue` and `defineTopic` already. */
function isDefinition(content: unknown): content is TopologyDefinition {
  if (typeof content !== 'object' || content === null) return false
  const { queues, topics } = content as { readonly queues?: unknown; readonly topics?: unknown }
  return Array.isArray(queues) || Array.isArray(topics)
}

function definitionOf({ queues = {}, topics = {} }: v.InferOutput<typeof file>): TopologyDefinition {
  return {
    queues: Object.entries(queues).map(([name, options]) =>
      defineQueue(name, options as QueueOptions<unknown>),
    ),
    topics: Object.entries(topics).map(([topic, { subscriptions = {} }]) => ({
      topic,
      subscriptions: subscriptions as Readonly<Record<string, SubscriptionOptions>>,
    })),
  }
}

function problem(issue: v.BaseIssue<unknown>): string {
  const at = v.getDotPath(issue) ?? 'the file'
  return issue.expected === 'never' ? `${at}: there is no such option` : `${at}: ${issue.message}`
}
