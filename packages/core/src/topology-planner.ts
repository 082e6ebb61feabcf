import type { Context } from './context.js'
import { bounded } from './context.js'
import { defineQueue } from './define-queue.js'
import { defineSubscription, defineTopic } from './define-topic.js'
import type { Drift, Topology } from './driver.js'
import { MsgloopError } from './error.js'
import { onlyKnown } from './options.js'
import { resolveQueue, resolveSubscription } from './resolved-queue.js'
import { inOrder, nameOf } from './topology-keeper.js'
import type { BrokerTopology, PlannedObject, TopologyDefinition, TopologyPlan } from './topology-plan.js'
import { describeDrift } from './topology-plan.js'
import { wrap } from './wrap.js'

const CALL_MS = 30_000

/** Compares definitions with what the broker has, and creates what is missing. Nothing else ever changes. */
export class TopologyPlanner implements BrokerTopology {
  readonly #context: Context

  constructor(context: Context) {
    this.#context = context
  }

  async plan(definition: TopologyDefinition): Promise<TopologyPlan> {
    this.#context.assertOpen()
    return await this.#plan(this.#resolve(definition))
  }

  async verify(definition: TopologyDefinition): Promise<readonly Drift[]> {
    return (await this.plan(definition)).objects.flatMap(({ drifts }) => drifts)
  }

  async apply(definition: TopologyDefinition): Promise<TopologyPlan> {
    this.#context.assertOpen()
    const wanted = this.#resolve(definition)
    const plan = await this.#plan(wanted)
    this.#refuse(
      plan.objects.filter(({ action }) => action === 'refuse'),
      'nothing was created',
    )
    for (const [at, spec] of wanted.entries())
      if (plan.objects[at]?.action === 'create')
        await this.#call('declare', spec, (signal) => this.#context.driver.admin.declare(spec, signal))
    // Whoever else applied meanwhile may have made it otherwise.
    const after = await this.#plan(wanted)
    this.#refuse(
      after.objects.filter(({ action }) => action !== 'keep'),
      'it is so after what was missing was created',
    )
    return plan
  }

  async #plan(wanted: readonly Topology[]): Promise<TopologyPlan> {
    const { driver } = this.#context
    const objects: PlannedObject[] = []
    for (const spec of wanted) {
      const drifts = await this.#call('verify', spec, (signal) => driver.admin.verify(spec, signal))
      objects.push({ kind: kindOf(spec), name: spec.name, action: actionFor(drifts), drifts })
    }
    return { broker: driver.name, address: driver.address, objects }
  }

  #refuse(objects: readonly PlannedObject[], consequence: string): void {
    if (objects.length === 0) return
    const { driver } = this.#context
    const differences = objects.flatMap(({ drifts }) => drifts.map(describeDrift))
    throw new MsgloopError(
      'DRIFT',
      `${driver.name} at ${driver.address}: ${differences.join('; ')}; ${consequence}: delete what differs, or define it as it is`,
      { outcome: 'rejected' },
    )
  }

  /** Every object once, each after those it needs. */
  #resolve(definition: TopologyDefinition): readonly Topology[] {
    onlyKnown('topology', definition, ['queues', 'topics'])
    const { name, capabilities } = this.#context.driver
    const wanted = new Map<string, Topology>()
    const add = (specs: readonly Topology[]): void => {
      for (const spec of specs) {
        const key = `${spec.kind === 'topic' ? 'topic' : 'queue'} ${spec.name}`
        const known = wanted.get(key)
        if (known && settingsOf(known) !== settingsOf(spec))
          throw new MsgloopError('INVALID', `topology: ${nameOf(spec)} is defined twice, and differently`)
        wanted.set(key, spec)
      }
    }
    for (const queue of definition.queues ?? []) {
      const defined = typeof queue === 'string' ? defineQueue(queue) : queue
      add(inOrder(resolveQueue(name, capabilities, defined, [])))
    }
    for (const { topic, subscriptions = {}, ...rest } of definition.topics ?? []) {
      onlyKnown('topology: a topic', rest, [])
      const defined = typeof topic === 'string' ? defineTopic(topic) : topic
      if (!capabilities.topics)
        throw new MsgloopError('UNSUPPORTED', `topic "${defined.name}": there are no topics on ${name}`)
      add([{ kind: 'topic', name: defined.name }])
      for (const [subscription, options] of Object.entries(subscriptions)) {
        const spec = defineSubscription(defined, subscription, options)
        add(inOrder(resolveSubscription(name, capabilities, spec, [])))
      }
    }
    return [...wanted.values()]
  }

  async #call<R>(action: string, spec: Topology, call: (signal: AbortSignal) => Promise<R>): Promise<R> {
    try {
      return await bounded(this.#context, CALL_MS, `${action} of ${nameOf(spec)}`, undefined, call)
    } catch (error) {
      const kind = spec.kind === 'topic' ? 'topic' : 'queue'
      throw wrap(this.#context.driver, { action, [kind]: spec.name }, error)
    }
  }
}

/** A dead-letter queue may be shared: the lease is that of whoever works on it. */
function settingsOf(spec: Topology): string {
  if (spec.kind !== 'queue' || spec.role === 'work') return JSON.stringify(spec)
  return JSON.stringify({ ...spec, leaseMs: 0 })
}

function actionFor(drifts: readonly Drift[]): PlannedObject['action'] {
  if (drifts.length === 0) return 'keep'
  return drifts.every(({ field }) => field === undefined) ? 'create' : 'refuse'
}

function kindOf(spec: Topology): PlannedObject['kind'] {
  return spec.kind !== 'queue' || spec.role === 'work' ? spec.kind : 'dead-letter queue'
}
