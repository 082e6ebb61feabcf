import { setMaxListeners } from 'node:events'
import { DriverError, SharedAttempt, systemClock, untilAborted } from '@msgloop/core/driver'
import type { Script } from './script.js'
import { type Role, Session } from './session.js'
import type { Node, Target } from './url.js'

/** A redirect names the node that has the keys; without a host it is that of who answers. */
const MOVED = /^MOVED \d+ (.*):(\d+)/
const MOST_HOPS = 5
/** Beyond this many they are learnt anew: tags of reply channels are new with each process. */
const MOST_ROUTES = 10_000
/** Nodes of a cluster that is being repaired are tried one after the other, and time is short. */
const NODE_TIMEOUT_MS = 3_000

/** The connections of one driver: for each node one for commands, and as many as there are blocking reads and subscriptions. */
export class Nodes {
  readonly #target: Target
  readonly #scripts: readonly Script[]
  readonly #sessions = new Map<string, Session>()
  readonly #attempts = new Map<string, SharedAttempt<Session>>()
  /** Which node has the keys of a tag, as far as is known. */
  readonly #routes = new Map<string, Node>()
  readonly #others = new Set<Session>()
  readonly #idle: Session[] = []
  readonly #end = new AbortController()
  /** The seed to begin with. */
  #first = 0

  constructor(target: Target, scripts: readonly Script[]) {
    setMaxListeners(0, this.#end.signal)
    this.#target = target
    this.#scripts = scripts
  }

  /** Connections there are. */
  get sessions(): readonly Session[] {
    return [...this.#sessions.values(), ...this.#others]
  }

  /** Any node that answers. */
  async any(signal?: AbortSignal): Promise<Session> {
    const { nodes } = this.#target
    for (let n = 1; ; n++) {
      const node = nodes[this.#first % nodes.length] ?? nodes[0]
      try {
        return await this.#connect(node, signal)
      } catch (error) {
        this.#first++
        if (n >= nodes.length || signal?.aborted) throw error
      }
    }
  }

  /** The node that has the keys of a tag. */
  async open(tag: string, signal?: AbortSignal): Promise<Session> {
    if (!this.#target.cluster) return this.any(signal)
    const known = this.#routes.get(tag)
    if (known) {
      try {
        return await this.#connect(known, signal)
      } catch (error) {
        // It may have failed, and another have its keys: the next attempt asks.
        this.#routes.delete(tag)
        if (signal?.aborted) throw error
      }
    }
    let session = await this.any(signal)
    for (let hops = 0; ; hops++) {
      try {
        await untilAborted(session.call('EXISTS', `{${tag}}`), signal)
        this.#learn(tag, session.node)
        return session
      } catch (error) {
        const node = this.moved(tag, session, error)
        if (!node || hops === MOST_HOPS) throw error
        session = await this.#connect(node, signal)
      }
    }
  }

  /** Runs `use` where the keys of a tag are, and again when they have moved. */
  async call<T>(tag: string, use: (session: Session) => Promise<T>, signal?: AbortSignal): Promise<T> {
    for (let hops = 0; ; hops++) {
      const session = await this.open(tag, signal)
      try {
        return await untilAborted(use(session), signal)
      } catch (error) {
        if (!this.moved(tag, session, error) || hops === MOST_HOPS) throw error
      }
    }
  }

  /** Learns from a redirect; `undefined` when the error is none. */
  moved(tag: string, { node }: Session, error: unknown): Node | undefined {
    if (!this.#target.cluster || !(error instanceof Error)) return undefined
    const [, host, port] = MOVED.exec(error.message) ?? []
    if (port === undefined) return undefined
    const to = { host: host || node.host, port: Number(port) }
    this.#learn(tag, to)
    return to
  }

  /** Runs a blocking read on a connection of its own; `use` may be ended by the other. */
  async block<T>(
    tag: string,
    use: (blocking: Session, commands: Session) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const commands = await this.open(tag, signal)
    const blocking = this.#spare(commands.node) ?? (await this.#another(commands.node, 'blocking', signal))
    try {
      return await use(blocking, commands)
    } finally {
      if (blocking.over) this.#others.delete(blocking)
      else this.#idle.push(blocking)
    }
  }

  /** A connection of its own to the node that has the keys of a tag, for as long as the caller likes. */
  async listen(tag: string, signal: AbortSignal): Promise<Session> {
    const { node } = await this.open(tag, signal)
    const session = await this.#another(node, 'replies', signal)
    session.redis.once('close', () => this.#others.delete(session))
    return session
  }

  close(): void {
    this.#end.abort()
    for (const session of this.sessions) session.end()
    this.#sessions.clear()
    this.#others.clear()
    this.#idle.length = 0
  }

  #learn(tag: string, node: Node): void {
    if (this.#routes.size >= MOST_ROUTES) this.#routes.clear()
    this.#routes.set(tag, node)
  }

  #spare(node: Node): Session | undefined {
    for (const each of this.#idle.splice(0)) {
      if (each.over) this.#others.delete(each)
      else this.#idle.push(each)
    }
    const at = this.#idle.findIndex((each) => nameOf(each.node) === nameOf(node))
    return at < 0 ? undefined : this.#idle.splice(at, 1)[0]
  }

  /** Callers share an attempt; it is given up when the last of them is gone. */
  async #connect(node: Node, signal: AbortSignal | undefined): Promise<Session> {
    this.#assertOpen()
    const name = nameOf(node)
    const session = this.#sessions.get(name)
    if (session && !session.over) return session
    let attempt = this.#attempts.get(name)
    if (!attempt) {
      attempt = new SharedAttempt(async (abort) => {
        const opened = await this.#dial(node, 'commands', abort)
        this.#sessions.set(name, opened)
        return opened
      })
      this.#attempts.set(name, attempt)
    }
    return attempt.join(signal)
  }

  async #another(node: Node, role: Role, signal: AbortSignal): Promise<Session> {
    const abort = new AbortController()
    const stop = (): void => abort.abort()
    signal.addEventListener('abort', stop)
    try {
      const session = await this.#dial(node, role, abort)
      this.#others.add(session)
      return session
    } finally {
      signal.removeEventListener('abort', stop)
    }
  }

  /** `abort` gives it up, and does nothing once it is open. */
  async #dial(node: Node, role: Role, abort: AbortController): Promise<Session> {
    const { cluster, connectTimeoutMs } = this.#target
    const ms = cluster ? Math.min(connectTimeoutMs, NODE_TIMEOUT_MS) : connectTimeoutMs
    let late = false
    const cancel = systemClock.after(ms, () => {
      late = true
      abort.abort()
    })
    const stop = (): void => abort.abort()
    this.#end.signal.addEventListener('abort', stop)
    try {
      const session = await Session.open(this.#target, node, role, this.#scripts, abort.signal)
      if (!this.#end.signal.aborted) return session
      session.end()
      throw this.#closed()
    } catch (error) {
      if (!late) throw error
      const message = `redis-streams: ${nameOf(node)} did not answer in ${ms} ms`
      throw new DriverError('UNREACHABLE', message, { retryable: true, outcome: 'rejected', cause: error })
    } finally {
      cancel()
      this.#end.signal.removeEventListener('abort', stop)
    }
  }

  #assertOpen(): void {
    if (this.#end.signal.aborted) throw this.#closed()
  }

  #closed(): DriverError {
    return new DriverError('CLOSED', `redis-streams: ${this.#target.address} was closed`, {
      outcome: 'rejected',
    })
  }
}

const nameOf = ({ host, port }: Node): string => `${host}:${port}`
