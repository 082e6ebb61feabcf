import {
  briefly,
  DriverError,
  GRACE_MS,
  lostError,
  SharedAttempt,
  systemClock,
  untilAborted,
} from '@msgloop/core/driver'
import { type Channel, type ChannelModel, type ConfirmChannel, connect, type SocketOptions } from 'amqplib'
import { corkTicks } from './cork.js'
import { bindForDelays, declareLevels } from './delay-levels.js'
import type { Target } from './url.js'

/** One AMQP connection, from its handshake to its end. */
export class Session {
  readonly model: ChannelModel
  readonly #address: string
  readonly #boundQueues = new Set<string>()
  readonly #preparing = new Map<string, Promise<void>>()
  #levels = 0
  #looking: Promise<Channel> | undefined
  #lost: DriverError | undefined
  #blocked: string | undefined

  constructor(model: ChannelModel, address: string, onEnd: () => void) {
    this.model = model
    this.#address = address
    let cause: unknown
    corkTicks(model)
    // Each open publisher listens; more than ten are no leak.
    model.setMaxListeners(0)
    model.on('error', (error) => {
      cause = error
    })
    model.on('blocked', (reason) => {
      this.#blocked = reason
    })
    model.on('unblocked', () => {
      this.#blocked = undefined
    })
    model.on('close', (error) => {
      this.#lost = lostError(`rabbitmq: the connection to ${address}`, error ?? cause)
      onEnd()
    })
  }

  /** Set once the connection is over. */
  get lost(): DriverError | undefined {
    return this.#lost
  }

  /** Why the broker takes no messages from this connection right now. */
  get blocked(): DriverError | undefined {
    if (this.#blocked === undefined) return undefined
    const message = `rabbitmq: ${this.#address} takes no messages for now: ${this.#blocked}`
    return new DriverError('BUSY', message, { retryable: true, outcome: 'rejected' })
  }

  channel(signal?: AbortSignal): Promise<Channel> {
    return this.#opened(this.model.createChannel(), signal)
  }

  confirmChannel(signal?: AbortSignal): Promise<ConfirmChannel> {
    return this.#opened(this.model.createConfirmChannel(), signal)
  }

  /** Runs `use` on a channel of its own: a failed check or declaration closes the channel it was on. */
  async scratch<T>(use: (channel: Channel) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const channel = await this.channel(signal)
    try {
      return await untilAborted(use(channel), signal)
    } finally {
      channel.close().catch(() => {})
    }
  }

  /** The same for looks that are made all the time: the channel is kept until one fails, and others on it with that. */
  async look<T>(use: (channel: Channel) => Promise<T>): Promise<T> {
    this.#looking ??= this.channel()
    const looking = this.#looking
    try {
      return await use(await looking)
    } catch (error) {
      if (this.#looking === looking) this.#looking = undefined
      throw error
    }
  }

  /** Declares what a delay that enters at `level` needs on its way to some queues. `undefined`: all is there. */
  prepareDelay(queues: readonly string[], level: number): Promise<void> | undefined {
    const unbound = queues.filter((queue) => !this.#boundQueues.has(queue))
    if (level < this.#levels && unbound.length === 0) return undefined
    const task = `${level} ${queues.join(' ')}`
    const running = this.#preparing.get(task)
    if (running) return running
    const from = this.#levels
    const work = this.scratch(async (channel) => {
      await bindForDelays(channel, unbound)
      await declareLevels(channel, from, level)
      for (const queue of unbound) this.#boundQueues.add(queue)
      this.#levels = Math.max(this.#levels, level + 1)
    }).finally(() => this.#preparing.delete(task))
    this.#preparing.set(task, work)
    return work
  }

  /** Somebody deleted a part: look again before the next delay. */
  forgetDelays(): void {
    this.#levels = 0
    this.#boundQueues.clear()
  }

  async #opened<C extends Channel>(opening: Promise<C>, signal: AbortSignal | undefined): Promise<C> {
    const channel = await untilAborted(opening, signal, (late) => {
      late.on('error', () => {})
      late.close().catch(() => {})
    })
    // Without a listener an 'error' event ends the process.
    channel.on('error', () => {})
    if (this.#lost) throw this.#lost
    return channel
  }
}

/** A connection that is opened by whoever needs it, and anew after each loss. One attempt at a time. */
export class Connection {
  readonly #target: Target
  readonly #label: string
  #session: Session | undefined
  readonly #attempt = new SharedAttempt((abort) => this.#dial(abort))
  #destroy: () => void = () => {}
  #hadSession = false
  #closed = false

  constructor(target: Target, role: 'send' | 'receive') {
    this.#target = target
    this.#label = `${target.name} (${role})`
  }

  /** The live session, if there is one. */
  get current(): Session | undefined {
    return this.#session
  }

  /** Callers share an attempt; it is given up when the last of them is gone. */
  async open(signal?: AbortSignal): Promise<Session> {
    if (this.#closed) throw new DriverError('CLOSED', `rabbitmq: ${this.#target.address} was closed`)
    if (this.#session) return this.#session
    return this.#attempt.join(signal)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#attempt.abort()
    const session = this.#session
    if (!session) return
    await briefly(session.model.close())
    // Closed or not: a peer that is gone would keep the socket, and with it the process.
    this.#destroy()
  }

  /** `socket` destroys the connection's socket, at any time of its life. */
  async #dial(socket: AbortController): Promise<Session> {
    const { protocol, hostname, port, username, password, vhost, heartbeat, address } = this.#target
    const options: SocketOptions & { signal: AbortSignal } = {
      ...this.#target.tls,
      noDelay: true,
      clientProperties: { connection_name: this.#label },
      signal: socket.signal,
    }
    // amqplib decodes the vhost once more.
    const server = {
      protocol,
      hostname,
      port,
      username,
      password,
      vhost: encodeURIComponent(vhost),
      heartbeat,
    }
    const cancel = systemClock.after(this.#target.connectTimeoutMs, () => socket.abort())
    try {
      const model = await untilAborted(connect(server, options), socket.signal, (late) => {
        late.on('error', () => {})
      })
      const session = new Session(model, address, () => {
        if (this.#session === session) this.#session = undefined
        setTimeout(() => socket.abort(), GRACE_MS).unref()
      })
      this.#session = session
      this.#hadSession = true
      this.#destroy = () => socket.abort()
      return session
    } catch (error) {
      throw this.#explained(error, socket.signal.aborted)
    } finally {
      cancel()
    }
  }

  #explained(error: unknown, aborted: boolean): unknown {
    const { address, vhost, username, connectTimeoutMs } = this.#target
    if (aborted)
      return new DriverError('UNREACHABLE', `rabbitmq: ${address} did not answer in ${connectTimeoutMs} ms`, {
        retryable: true,
        outcome: 'rejected',
      })
    // amqplib drops the broker's reason for refusing the vhost. One that was there comes back after a restart.
    if (error instanceof Error && error.message.startsWith('Expected ConnectionOpenOk; got <ConnectionClose'))
      return new DriverError(
        'NOT_FOUND',
        `rabbitmq: ${address} refused the vhost "${vhost}": it does not exist, is down, or is not open to user "${username}"`,
        { retryable: this.#hadSession, outcome: 'rejected', cause: error },
      )
    return error
  }
}
