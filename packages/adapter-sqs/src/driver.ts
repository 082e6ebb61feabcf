import type {
  Admin,
  Capabilities,
  Classified,
  Destination,
  Driver,
  Receiver,
  ReceiverOptions,
  Sender,
  Source,
} from '@msgloop/core/driver'
import { SqsAdmin } from './admin.js'
import { Api } from './api.js'
import type { Calls } from './calls.js'
import { capabilities } from './capabilities.js'
import { classify } from './errors.js'
import { fifoOf } from './fifo.js'
import { GivenBack } from './given-back.js'
import { logicalName } from './names.js'
import { Queues } from './queues.js'
import { SqsReceiver } from './receiver.js'
import { SqsSender } from './sender.js'
import { asQueue } from './topology.js'
import type { Target } from './url.js'

/** SQS has no connections: everything is a request, and what is open is a name that was looked up. */
export class SqsDriver implements Driver {
  readonly name = 'aws_sqs'
  readonly address: string
  readonly capabilities: Capabilities = capabilities
  readonly admin: Admin
  readonly #target: Target
  readonly #api: Api
  readonly #queues: Queues
  readonly #givenBack = new GivenBack()

  constructor(target: Target) {
    this.address = target.address
    this.#target = target
    this.#api = new Api(target)
    this.#queues = new Queues(this.#api, target.prefix)
    this.admin = new SqsAdmin(this.#api, this.#queues, target.prefix)
  }

  /** Requests made so far: what SQS bills. */
  get calls(): Calls {
    return this.#api.calls
  }

  connect(signal: AbortSignal): Promise<void> {
    return this.#api.greet(signal)
  }

  async openSender(destination: Destination, signal: AbortSignal): Promise<Sender> {
    const spec = asQueue(destination)
    return new SqsSender(this.#api, this.#queues, await this.#queues.find(spec.name, fifoOf(spec), signal))
  }

  async openReceiver(source: Source, options: ReceiverOptions, signal: AbortSignal): Promise<Receiver> {
    const spec = asQueue(source)
    const parts = {
      api: this.#api,
      queues: this.#queues,
      ref: await this.#queues.find(spec.name, fifoOf(spec), signal),
      waitSeconds: this.#target.waitSeconds,
      givenBack: this.#givenBack,
      nameOf: (physical: string) => logicalName(this.#target.prefix, physical),
    }
    return new SqsReceiver(parts, spec, options)
  }

  classify(error: unknown): Classified {
    return classify(error)
  }

  /** Both clients of the SDK, and the requests made so far. */
  native(): unknown {
    return { requests: this.#api.requests, polls: this.#api.polls, calls: this.#api.calls }
  }

  async close(): Promise<void> {
    this.#api.close()
  }
}
