import type { Driver, SubscriptionSpec, TopicSpec, WireMessage } from '@msgloop/core/driver'
import { DriverError, subjectMatcher } from '@msgloop/core/driver'
import { decorate } from '../decorate.js'
import { copyOf, withVerdict } from './carry-out.js'
import type { Mutant } from './mutant.js'

/** Declares subscriptions with other patterns than it was told. */
const patterned =
  (change: (pattern: string) => readonly string[]): Mutant['make'] =>
  () =>
  (driver) =>
    decorate(driver, {
      admin: (inner) => ({
        declare: (topology, signal) =>
          inner.declare(
            topology.kind === 'subscription'
              ? { ...topology, patterns: topology.patterns.flatMap(change) }
              : topology,
            signal,
          ),
      }),
    })

/** What all drivers of a run know of the subscriptions, and what was published. */
class Registry {
  readonly subscriptions = new Map<string, SubscriptionSpec>()
  readonly published: { readonly topic: string; readonly message: WireMessage }[] = []

  of(topic: string): SubscriptionSpec[] {
    return [...this.subscriptions.values()].filter((each) => each.topic === topic)
  }

  /** Notes subscriptions and messages, and does more with them: after a declaration, and instead of a publish. */
  watch(
    driver: Driver,
    {
      declared = async () => {},
      publish,
    }: {
      readonly declared?: (spec: SubscriptionSpec) => Promise<void>
      readonly publish?: (topic: string, message: WireMessage) => Promise<void>
    },
  ): Driver {
    return decorate(driver, {
      admin: (inner) => ({
        declare: async (topology, signal) => {
          await inner.declare(topology, signal)
          if (topology.kind !== 'subscription') return
          const known = this.subscriptions.has(topology.name)
          this.subscriptions.set(topology.name, topology)
          if (!known) await declared(topology)
        },
        delete: async (topology, signal) => {
          this.subscriptions.delete(topology.name)
          await inner.delete(topology, signal)
        },
      }),
      sender: (inner, { kind, name }) =>
        kind === 'topic'
          ? {
              send: async (batch, signal) => {
                for (const { message } of batch) this.published.push({ topic: name, message })
                if (!publish) return await inner.send(batch, signal)
                for (const { message } of batch) await publish(name, message)
                return []
              },
            }
          : {},
    })
  }
}

const { signal } = new AbortController()

async function sendTo(
  driver: Driver,
  { name, leaseMs }: SubscriptionSpec,
  message: WireMessage,
): Promise<void> {
  const spec = {
    kind: 'queue',
    role: 'work',
    name,
    leaseMs,
    dedupWindowMs: 0,
    order: 'none',
    lanes: false,
  } as const
  const sender = await driver.openSender(spec, signal)
  await sender.send([{ message, delayMs: 0 }], signal)
  await sender.close()
}

const topicOf = (name: string): TopicSpec => ({ kind: 'topic', name })

export const topicMutants: readonly Mutant[] = [
  {
    id: 'retry-to-topic',
    fault: 'retries by publishing to the topic again',
    seenIn: 'T6; P30: one stream with a group per subscription reaches all groups',
    caughtBy: ['P5-retry', 'P4-failing'],
    make: () => (driver) =>
      withVerdict(driver, 'retry', async (work) => {
        const { source, verdict } = work
        const to = source.kind === 'subscription' ? topicOf(source.topic) : source.name
        await work.send({ message: copyOf(work), delayMs: verdict.delayMs }, to)
        await work.settle({ kind: 'ack' })
      }),
  },
  {
    id: 'replay-to-topic',
    fault: 'replays into all subscriptions of the topic',
    seenIn: 'H16: a redrive that fans out again',
    caughtBy: ['P5-replay', 'P5-replay-shared'],
    make: () => (driver) =>
      withVerdict(driver, 'move', async (work) => {
        const { to, topic } = work.verdict
        await work.send({ message: copyOf(work), delayMs: 0 }, topic === undefined ? to : topicOf(topic))
        await work.settle({ kind: 'ack' })
      }),
  },
  {
    id: 'subject-lost-on-move',
    fault: 'loses the subject of what is dead-lettered',
    seenIn: 'RabbitMQ: a dead-letter routing key replaces the one it had',
    caughtBy: ['P5-dead-letter', 'P5-replay'],
    make: () => (driver) =>
      withVerdict(driver, 'move', async (work) => {
        await work.send({ message: { ...copyOf(work), subject: undefined }, delayMs: 0 }, work.verdict.to)
        await work.settle({ kind: 'ack' })
      }),
  },
  {
    id: 'star-matches-many',
    fault: 'takes a final * for any number of segments',
    seenIn: 'globs, and SNS prefix filters',
    caughtBy: ['P2-segments'],
    make: patterned((pattern) => [pattern.replace(/^\*$|\.\*$/, (end) => end.replace('*', '#'))]),
  },
  {
    id: 'hash-needs-one',
    fault: 'takes a final # for one or more segments',
    seenIn: 'NATS: ">" is one or more',
    caughtBy: ['P2-segments', 'P2-wildcards', 'P2-overlap'],
    make: patterned((pattern) => (/.\.#$/.test(pattern) ? [pattern.replace('#', '*.#')] : [pattern])),
  },
  {
    id: 'first-pattern-only',
    fault: 'binds the first pattern of a subscription only',
    seenIn: 'NATS before 2.10: one filter subject per consumer',
    caughtBy: ['P2-overlap', 'P2-sixteen', 'P3-drift'],
    make: () => (driver) =>
      decorate(driver, {
        admin: (inner) => ({
          declare: (topology, abort) =>
            inner.declare(
              topology.kind === 'subscription'
                ? { ...topology, patterns: topology.patterns.slice(0, 1) }
                : topology,
              abort,
            ),
        }),
      }),
  },
  {
    id: 'overlap-doubles',
    fault: 'delivers a message once per pattern that matches',
    seenIn: 'SNS: one filter per subscription, so two patterns are two subscriptions of one queue',
    caughtBy: ['P2-overlap'],
    make() {
      const registry = new Registry()
      return (driver) =>
        registry.watch(driver, {
          publish: async (topic, message) => {
            for (const spec of registry.of(topic))
              for (const pattern of spec.patterns)
                if (subjectMatcher([pattern])(message.subject ?? '')) await sendTo(driver, spec, message)
          },
        })
    },
  },
  {
    id: 'topic-round-robin',
    fault: 'gives each message to one subscription only',
    seenIn: 'one queue behind a topic: all subscriptions compete',
    caughtBy: ['P1-copies', 'P4-slow'],
    make() {
      const registry = new Registry()
      let turn = 0
      return (driver) =>
        registry.watch(driver, {
          publish: async (topic, message) => {
            const all = registry.of(topic)
            const next = all[turn++ % all.length]
            if (next) await sendTo(driver, next, message)
          },
        })
    },
  },
  {
    id: 'late-gets-old',
    fault: 'gives a new subscription what was published before',
    seenIn: 'NATS: a stream with limits, and deliver_policy all',
    caughtBy: ['P3-late', 'P3-recreated'],
    make() {
      const registry = new Registry()
      return (driver) =>
        registry.watch(driver, {
          declared: async (spec) => {
            for (const { topic, message } of registry.published)
              if (topic === spec.topic) await sendTo(driver, spec, message)
          },
        })
    },
  },
  {
    id: 'publish-mandatory',
    fault: 'fails a publish that no subscription gets',
    seenIn: 'RabbitMQ: mandatory; NATS: no responders',
    caughtBy: ['P3-nobody'],
    make() {
      const registry = new Registry()
      return (driver) =>
        registry.watch(driver, {
          publish: async (topic, message) => {
            const all = registry
              .of(topic)
              .filter((spec) => subjectMatcher(spec.patterns)(message.subject ?? ''))
            if (all.length === 0) throw new DriverError('NOT_FOUND', 'no route', { outcome: 'rejected' })
            for (const spec of all) await sendTo(driver, spec, message)
          },
        })
    },
  },
  {
    id: 'unsubscribe-does-nothing',
    fault: 'leaves a subscription in place that is deleted',
    seenIn: 'SNS: a queue deleted before its subscription goes on being fed',
    caughtBy: ['P3-recreated', 'P3-repatterned'],
    make: () => (driver) =>
      decorate(driver, {
        admin: (inner) => ({
          async delete(topology, abort) {
            if (topology.kind !== 'subscription') await inner.delete(topology, abort)
          },
        }),
      }),
  },
  {
    id: 'pattern-drift-unseen',
    fault: 'takes other patterns of an existing subscription for the same',
    seenIn: 'RabbitMQ: binding again adds, and removes nothing',
    caughtBy: ['P3-drift'],
    make: () => (driver) =>
      decorate(driver, {
        admin: (inner) => ({
          async declare(topology, abort) {
            try {
              await inner.declare(topology, abort)
            } catch (error) {
              if (topology.kind !== 'subscription' || driver.classify(error).code !== 'DRIFT') throw error
            }
          },
        }),
      }),
  },
]
