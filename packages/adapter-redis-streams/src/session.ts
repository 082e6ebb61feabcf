import { DriverError, lostError, untilAborted } from '@msgloop/core/driver'
import { Redis } from 'ioredis'
import { bare, unsent } from './errors.js'
import type { Script } from './script.js'
import { refusal, warnOnce } from './server-check.js'
import type { Node, Target } from './url.js'

export type Argument = string | number | Buffer
/** What a connection is for: beside commands, one blocking read after the other, or a subscription. */
export type Role = 'commands' | 'blocking' | 'replies'

/**
 * One connection, from its handshake to its end. It never comes back by itself and never sends again:
 * whoever needs another opens it, and knows that what was under way is lost or unknown.
 */
export class Session {
  readonly redis: Redis
  readonly node: Node
  readonly #what: string
  #cause: unknown
  #id: number | undefined

  static async open(
    target: Target,
    node: Node,
    role: Role,
    scripts: readonly Script[],
    signal: AbortSignal,
  ): Promise<Session> {
    const session = new Session(target, node, role)
    try {
      await untilAborted(session.#begin(target, role, scripts), signal)
      return session
    } catch (error) {
      session.end()
      throw signal.aborted ? error : (session.#cause ?? error)
    }
  }

  private constructor(target: Target, node: Node, role: Role) {
    const { host, port } = node
    const { username, password, db, tls } = target
    this.node = node
    this.#what = `redis-streams: the connection to ${host}:${port}`
    this.redis = new Redis({
      host,
      port,
      db,
      ...(username === '' ? {} : { username }),
      ...(password === '' ? {} : { password }),
      ...(tls ? { tls } : {}),
      connectionName: `${target.name}:${role}`,
      connectTimeout: target.connectTimeoutMs,
      // Also ends a blocking read whose answer does not come: it is asked to block for less.
      socketTimeout: target.replyTimeoutMs,
      protocol: 2,
      lazyConnect: true,
      enableReadyCheck: false,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: null,
      retryStrategy: null,
    })
    this.redis.on('error', (error) => {
      this.#cause ??= bare(error)
    })
  }

  get over(): boolean {
    return this.redis.status !== 'ready'
  }

  /** Rejects at once when the connection is over, and when it ends before the reply. Replies hold bytes, not text. */
  call(command: string, ...args: Argument[]): Promise<unknown> {
    if (this.over) return Promise.reject(unsent(this.lost()))
    return this.redis.callBuffer(command, args).catch((error) => {
      throw this.#sorted(error)
    })
  }

  async run(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    const rest = [keys.length, ...keys, ...args]
    try {
      return await this.call('EVALSHA', script.sha, ...rest)
    } catch (error) {
      // Somebody flushed the scripts.
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error
      return await this.call('EVAL', script.source, ...rest)
    }
  }

  /** Ends a blocking read of another session, which then answers with what it has, or nothing. */
  async unblock(blocked: Session): Promise<void> {
    if (blocked.#id !== undefined) await this.call('CLIENT', 'UNBLOCK', blocked.#id).catch(() => {})
  }

  /** How it ended. */
  lost(): DriverError {
    return lostError(this.#what, this.#cause)
  }

  end(): void {
    this.redis.disconnect()
  }

  async #begin(target: Target, role: Role, scripts: readonly Script[]): Promise<void> {
    await this.redis.connect()
    // ioredis goes on in database 0 when it cannot select another.
    if (this.#cause !== undefined) throw this.#cause
    if (role === 'replies') return
    const optional = (command: string, ...args: Argument[]): Promise<unknown> =>
      this.call(command, ...args).catch((error) => {
        if (this.over) throw error
      })
    if (role === 'blocking') {
      this.#id = Number((await optional('CLIENT', 'ID')) ?? Number.NaN)
      if (Number.isNaN(this.#id)) this.#id = undefined
      return
    }
    const [info, fsync] = await Promise.all([
      optional('INFO'),
      optional('CONFIG', 'GET', 'appendfsync'),
      ...scripts.map((script) => this.call('SCRIPT', 'LOAD', script.source)),
    ])
    const server = { info: text(info), appendfsync: Array.isArray(fsync) ? text(fsync[1]) : undefined }
    const refused = refusal(target.address, target.cluster, server)
    if (refused) throw refused
    warnOnce(target.address, server)
  }

  #sorted(error: unknown): unknown {
    bare(error)
    if (!(error instanceof Error) || error instanceof DriverError) return error
    // It was a master once. Its name may lead to the new one by now.
    if (/\bREADONLY /.test(error.message)) this.end()
    else if (error.name !== 'ReplyError' && this.over) return this.lost()
    return error
  }
}

const text = (reply: unknown): string | undefined => (Buffer.isBuffer(reply) ? reply.toString() : undefined)
