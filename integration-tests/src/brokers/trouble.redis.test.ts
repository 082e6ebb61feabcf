import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { inspect } from 'node:util'
import { redisStreams } from '@msgloop/adapter-redis-streams'
import type { Broker, BrokerOptions, Queue } from '@msgloop/core'
import { createBroker, defineQueue, fixed, MsgloopError } from '@msgloop/core'
import type { QueueSpec } from '@msgloop/core/driver'
import type { Redis } from 'ioredis'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { streamOf } from '../harness/redis.js'
import type { RedisServer } from '../redis-server.js'
import { startRedis } from '../redis-server.js'
import { tcpProxy } from '../tcp-proxy.js'

/** Of `localhost`, signed by itself, for a hundred years. */
const TLS = {
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgudJlKcuE6kuBrgl0
clOp1FMilHs0DcHDlvGy8/ohNDyhRANCAARKIjAoLVt+fdBekiuZiRegokK1g5IO
SdXBciU7z5DDe7C0PYeFx65Nv33q66PQ3CsrVVUZBSLULGeite2e2qb4
-----END PRIVATE KEY-----`,
  cert: `-----BEGIN CERTIFICATE-----
MIIBnDCCAUGgAwIBAgIUPGpI/IAEzgbl8oKansjEbOEmcpIwCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJbG9jYWxob3N0MCAXDTI2MTEyMjE4NTMxN1oYDzIxMjYxMDI5
MTg1MzE3WjAUMRIwEAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARKIjAoLVt+fdBekiuZiRegokK1g5IOSdXBciU7z5DDe7C0PYeFx65N
v33q66PQ3CsrVVUZBSLULGeite2e2qb4o28wbTAdBgNVHQ4EFgQUdq3SiRYwfgYv
8X+AyjN67JwccRwwHwYDVR0jBBgwFoAUdq3SiRYwfgYv8X+AyjN67JwccRwwDwYD
VR0TAQH/BAUwAwEB/zAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZI
zj0EAwIDSQAwRgIhAOavt3SBg0YZS8XFW5gg3NyjAoxZy6qZms91jy32CgFTAiEA
t7uy30UBPxOSlZFlEPhMnXusLbDuvJcvHVYFazCmGQU=
-----END CERTIFICATE-----`,
}
const FACT = { timeout: 15_000, interval: 20 }

/** Of a send that is refused again and again until its time ends, which may be in the middle of an attempt. */
const refused: unknown = expect.stringMatching(/^(rejected|unknown)$/)

/** Everything but what `call` resolves with. */
async function errorOf(call: () => Promise<unknown>): Promise<MsgloopError> {
  const error: unknown = await call().then(
    () => new Error('it succeeded'),
    (thrown: unknown) => thrown,
  )
  if (error instanceof MsgloopError) return error
  throw error
}

describe('trouble of a real Redis', () => {
  let server: RedisServer
  let raw: Redis
  let name: string
  const open: { close(): Promise<void> }[] = []

  const broker = (url: string, options?: BrokerOptions): Broker => {
    const opened = createBroker(redisStreams({ url }), options)
    open.push(opened)
    return opened
  }
  const queueOf = (url = server.url(), options?: BrokerOptions): Queue<number> =>
    broker(url, options).queue(
      defineQueue<number>(name, {
        lease: '2s',
        sendTimeout: '3s',
        retry: fixed({ attempts: 3, delay: '100ms' }),
      }),
    )
  /** Bodies in the order they were handled. */
  const handled = (queue: Queue<number>, troubles: unknown[] = []): number[] => {
    const seen: number[] = []
    queue.consume((body) => void seen.push(body), { onError: (error) => troubles.push(error) })
    return seen
  }
  const user = async (who: string, ...rules: string[]): Promise<string> => {
    await raw.call('ACL', 'SETUSER', who, 'reset', 'on', '>secret-of-bob', ...rules)
    return server.url(undefined, `${who}:secret-of-bob@`)
  }

  beforeAll(async () => {
    server = await startRedis('redis:8')
    raw = server.client()
  })
  afterAll(async () => {
    raw?.disconnect()
    await server?.stop()
  })
  beforeEach(() => {
    name = `trouble-${randomUUID()}`
  })
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each.close()
  })

  test('wrong credentials are DENIED, and no password is anywhere in the error', async () => {
    for (const credentials of ['nobody:hunter2-wrong@', 'default:hunter2-wrong@']) {
      await raw.config('SET', 'requirepass', 'the-right-one')
      await raw.call('AUTH', 'the-right-one')
      try {
        const error = await errorOf(() => broker(server.url(undefined, credentials)).connect())
        expect(error).toMatchObject({ code: 'DENIED', retryable: false })
        expect(inspect(error, { depth: 10, showHidden: true })).not.toMatch(/hunter2|the-right-one/)
        expect(await errorOf(() => broker(server.url()).connect())).toMatchObject({ code: 'DENIED' })
      } finally {
        await raw.config('SET', 'requirepass', '')
      }
    }
  })

  test('who may use a queue but not make one can use it, and is DENIED others', async () => {
    await queueOf().send(1)
    const url = await user(
      'bob',
      '~msgloop:*',
      '+@read',
      '+@write',
      '+@connection',
      '+@scripting',
      '+info',
      '+time',
      '-hset',
      '-xgroup|create',
    )
    const queue = queueOf(url)
    const seen = handled(queue)
    await queue.send(2)
    await expect.poll(() => seen, FACT).toEqual([1, 2])
    const other = broker(url).queue(`other-${name}`)
    expect(await errorOf(() => other.send(1))).toMatchObject({ code: 'DENIED', outcome: 'rejected' })
  })

  test('who may not write dead letters can still ack, and the message that is to die stays', async () => {
    await queueOf().send(0)
    const url = await user('bob', `~${streamOf(name)}`, `~${streamOf(name)}:*`, '+@all')
    const queue = queueOf(url, { topology: 'none' })
    const troubles: MsgloopError[] = []
    const acked: number[] = []
    const consumer = queue.consume(
      (body) => {
        if (body === 0) throw new Error('always')
        acked.push(body)
      },
      { onError: (error) => void (error instanceof MsgloopError && troubles.push(error)) },
    )
    await expect.poll(() => troubles.map(({ code }) => code), FACT).toContain('DENIED')
    for (let n = 1; n <= 20; n++) await queue.send(n)
    await expect.poll(() => acked.length, FACT).toBe(20)
    await consumer.close()
    const left = queueOf()
    await expect.poll(async () => (await left.stats()).ready, FACT).toBe(1)
    expect((await left.receive({ wait: '3s' })).map(({ body }) => body)).toEqual([0])
  })

  test('when memory is full a send is refused as not stored, and consumers drain what makes room', async () => {
    const queue = queueOf()
    for (let n = 0; n < 50; n++) await queue.send(n)
    await raw.config('SET', 'maxmemory', '1')
    try {
      const error = await errorOf(() => queue.send(-1))
      expect(error).toMatchObject({ code: 'TIMEOUT', outcome: refused, retryable: true })
      expect(error.cause).toMatchObject({ code: 'BUSY' })
      const delayed = await errorOf(() => queue.send(-2, { delay: '1h' }))
      expect(delayed).toMatchObject({ code: 'TIMEOUT', outcome: refused })
      expect((await queue.stats()).delayed).toBe(0)
      const runs: number[] = []
      queue.consume((body, message) => {
        runs.push(body)
        if (body === 7) throw new Error('dead')
        if (body === 8 && message.attempt === 1) throw new Error('once')
      })
      await expect.poll(() => new Set(runs).size, FACT).toBe(50)
      await expect.poll(async () => (await queue.stats()).dead, FACT).toBe(1)
      await expect.poll(async () => (await queue.stats()).ready, FACT).toBe(0)
      expect(runs).not.toContain(-1)
    } finally {
      await raw.config('SET', 'maxmemory', '0')
    }
    await queue.send(51)
  })

  test('while it is a read-only replica, as after a failover, sends are refused, and go on when it is not', async () => {
    const queue = queueOf()
    const seen = handled(queue)
    await queue.send(1)
    await expect.poll(() => seen, FACT).toEqual([1])
    await expect.poll(() => queue.stats(), FACT).toMatchObject({ ready: 0, inFlight: 0 })
    // Of a master that is not there: it keeps what it has, and takes nothing.
    await raw.replicaof('127.0.0.1', 1)
    const error = await errorOf(() => queue.send(-1))
    expect(error).toMatchObject({ outcome: refused, retryable: true })
    expect(await broker(server.url()).health()).toMatchObject({ status: 'down', error: { code: 'BUSY' } })
    const through = queue.send(2)
    await raw.replicaof('NO', 'ONE')
    await through
    await expect.poll(() => seen, FACT).toEqual([1, 2])
  })

  test('delays and leases go by the clock of the server, however wrong that of the client is', async () => {
    const skewed = (ms: number): BrokerOptions => {
      const now = (): number => Date.now() + ms
      const { performance } = globalThis
      return {
        clock: {
          now,
          elapsed: () => performance.now(),
          after: (wait, fn) => {
            const timer = setTimeout(fn, Math.min(wait, 2 ** 31 - 1))
            return () => clearTimeout(timer)
          },
        },
      }
    }
    const ahead = queueOf(server.url(), skewed(3_600_000))
    const behind = queueOf(server.url(), skewed(-3_600_000))
    const arrived = new Map<number, number>()
    behind.consume((body) => void arrived.set(body, Date.now()))
    const sentAt = Date.now()
    await ahead.send(1, { delay: '1s' })
    await behind.send(2, { delay: '500ms' })
    await expect.poll(() => arrived.size, FACT).toBe(2)
    expect((arrived.get(1) ?? 0) - sentAt).toBeGreaterThanOrEqual(998)
    expect((arrived.get(2) ?? 0) - sentAt).toBeGreaterThanOrEqual(498)
    expect((arrived.get(1) ?? 0) - sentAt).toBeLessThan(5_000)
  })

  test.each(['group', 'stream', 'everything', 'scripts'])(
    'when the %s is deleted under a consumer, it goes on with what is sent then',
    async (what) => {
      const queue = queueOf()
      const troubles: unknown[] = []
      const seen = handled(queue, troubles)
      await queue.send(1)
      await expect.poll(() => seen, FACT).toEqual([1])
      if (what === 'group') await raw.xgroup('DESTROY', streamOf(name), 'msgloop')
      if (what === 'stream') await raw.del(streamOf(name))
      if (what === 'everything') await raw.flushall()
      if (what === 'scripts') await raw.script('FLUSH')
      await queue.send(2)
      await queue.send(3, { delay: '100ms' })
      await expect.poll(() => seen, FACT).toEqual([1, 2, 3])
      for (const trouble of troubles) expect(trouble).toBeInstanceOf(MsgloopError)
    },
  )

  test('what was in the queue when its group was deleted is delivered, and so is what was held', async () => {
    const queue = queueOf()
    await queue.send(1)
    const [held] = await queue.receive({ wait: '2s' })
    expect(held?.body).toBe(1)
    await queue.send(2)
    await raw.xgroup('DESTROY', streamOf(name), 'msgloop')
    const seen = handled(queue)
    await expect.poll(() => seen.includes(2), FACT).toBe(true)
  })

  test('connections that the server kills over and over lose nothing that was confirmed, and store nothing that was refused', async () => {
    const queue = queueOf()
    const seen = handled(queue)
    const confirmed: number[] = []
    const unknown: number[] = []
    let stop = false
    const killing = (async () => {
      for (let n = 0; n < 15; n++) {
        await expect.poll(() => confirmed.length, FACT).toBeGreaterThan(n * 10)
        await raw.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
      }
      stop = true
    })()
    for (let n = 0; !stop; n++)
      await queue.send(n).then(
        () => confirmed.push(n),
        (error) => unknown.push(error instanceof MsgloopError && error.outcome === 'rejected' ? -1 : n),
      )
    await killing
    await expect.poll(() => confirmed.filter((n) => !seen.includes(n)), FACT).toEqual([])
    for (const n of seen) expect(confirmed.includes(n) || unknown.includes(n)).toBe(true)
  })

  test('a network that swallows everything is noticed, and left for another connection', async () => {
    const proxy = await tcpProxy(server)
    open.push(proxy)
    const opened = createBroker(redisStreams({ url: server.url(proxy), replyTimeoutMs: 1_000 }))
    open.push(opened)
    const queue = opened.queue(defineQueue<number>(name, { sendTimeout: '20s', lease: '2s' }))
    const seen = handled(queue)
    await queue.send(1)
    await expect.poll(() => seen, FACT).toEqual([1])
    proxy.stall()
    const send = queue.send(2).catch((error: unknown) => error)
    expect(await opened.health({ timeout: '500ms' })).toMatchObject({ status: 'down' })
    expect(await send).toMatchObject({ code: 'CONNECTION_LOST', outcome: 'unknown' })
    proxy.cut()
    proxy.flow()
    await queue.send(3)
    await expect.poll(() => seen.includes(3), FACT).toBe(true)
  })

  test('what somebody took from the group by hand and left comes back', async () => {
    const queue = queueOf()
    await queue.send(1)
    await raw.xreadgroup('GROUP', 'msgloop', 'somebody', 'COUNT', 1, 'STREAMS', streamOf(name), '>')
    const [[id] = ['']] = await raw.xrange(streamOf(name), '-', '+')
    // As if it had lain there for long.
    await raw.xclaim(streamOf(name), 'msgloop', 'somebody', 0, id, 'IDLE', 400_000)
    const [delivery] = await queueOf().receive({ wait: '5s' })
    expect(delivery).toMatchObject({ body: 1, deliveries: 3 })
    await delivery?.ack()
  })

  test('what a blocking read delivered to a process that died of it comes back within a second or so', async () => {
    const queue = queueOf()
    await queue.send(1)
    await raw.xreadgroup('GROUP', 'msgloop', 'arriving', 'COUNT', 1, 'STREAMS', streamOf(name), '>')
    const [delivery] = await queueOf().receive({ wait: '5s' })
    expect(delivery).toMatchObject({ body: 1, deliveries: 1, attempt: 1 })
    await delivery?.ack()
  })

  test('what was handed over by a reply that never came goes back when its receiver closes, not when its lease ends', async () => {
    const spec: QueueSpec = {
      kind: 'queue',
      name,
      role: 'dead-letter',
      leaseMs: 60_000,
      dedupWindowMs: 0,
      order: 'none',
    }
    const proxy = await tcpProxy(server)
    const driver = redisStreams({ url: server.url(proxy) })
    open.push(proxy, driver)
    const signal = AbortSignal.timeout(15_000)
    await driver.admin.declare(spec, signal)
    const options = { prefetch: 1, leaseMs: 60_000, consumer: 'c', onLost: () => {} }
    const receiver = await driver.openReceiver(spec, options, signal)
    await raw.xadd(streamOf(name), '*', 'body', '1')
    // It does not answer until the connection is gone, and then carries out what was sent by it.
    await server.pause()
    const receiving = receiver.receive(1, 0, signal)
    await new Promise((resolve) => setTimeout(resolve, 150))
    proxy.cut()
    await expect(receiving).rejects.toMatchObject({ code: 'CONNECTION_LOST' })
    await server.unpause()
    await expect.poll(() => raw.zcard(`${streamOf(name)}:leases`), FACT).toBe(1)
    await receiver.close()
    const next = await driver.openReceiver(spec, options, signal)
    const [delivery] = await next.receive(1, 5_000, signal)
    expect(delivery?.deliveries).toBe(1)
    await next.close()
  })

  test('consumers that died leave no name behind once their messages are gone', async () => {
    const proxy = await tcpProxy(server)
    open.push(proxy)
    const queue = queueOf(server.url(proxy))
    await queue.send(1)
    await queue.receive({ wait: '2s' })
    proxy.down()
    const seen = handled(queueOf())
    await expect.poll(() => seen, FACT).toEqual([1])
    const consumers = async (): Promise<number> =>
      [await raw.xinfo('CONSUMERS', streamOf(name), 'msgloop')]
        .flat()
        .filter((each) => Array.isArray(each) && !each.includes('arriving')).length
    await expect.poll(consumers, FACT).toBe(1)
    expect((await queueOf().stats()).consumers).toBe(1)
    proxy.up()
  })

  test('dead letters are kept for as long as they are declared to be, and not much longer', async () => {
    const queue = broker(server.url()).queue(
      defineQueue<number>(name, { deadLetterRetention: '1s', retry: fixed({ attempts: 1, delay: 0 }) }),
    )
    queue.consume(() => Promise.reject(new Error('dead')))
    const listed = async (): Promise<string[]> => {
      const ids: string[] = []
      for await (const { id } of queue.deadLetters.list()) ids.push(id)
      return ids
    }
    const begun = Date.now()
    await queue.send(0, { id: 'first' })
    await expect.poll(listed, FACT).toContain('first')
    await expect
      .poll(async () => {
        await queue.send(1)
        return await listed()
      }, FACT)
      .not.toContain('first')
    expect(Date.now() - begun).toBeGreaterThanOrEqual(998)
    expect((await listed()).length).toBeGreaterThan(0)
  })

  test('databases and prefixes are apart, and a database there is none of is INVALID', async () => {
    await queueOf(`${server.url()}/1`).send(1)
    await queueOf(`${server.url()}?prefix=other`).send(2)
    await queueOf().send(3)
    for (const [url, body] of [
      [`${server.url()}/1`, 1],
      [`${server.url()}?prefix=other`, 2],
      [server.url(), 3],
    ] as const)
      expect((await queueOf(url).receive({ max: 9, wait: '1s' })).map((each) => each.body)).toEqual([body])
    expect(await errorOf(() => broker(`${server.url()}/999`).connect())).toMatchObject({ code: 'INVALID' })
  })

  test('what may lose messages is told of once per process, by a warning', async () => {
    const warnings: string[] = []
    const note = (warning: Error & { code?: string }): void => {
      if (warning.message.includes(broker(server.url()).name)) warnings.push(warning.code ?? '')
    }
    process.on('warning', note)
    await raw.config('SET', 'maxmemory-policy', 'allkeys-lru')
    await raw.config('SET', 'appendfsync', 'everysec')
    try {
      for (let time = 0; time < 3; time++) await broker(server.url()).connect()
      await expect
        .poll(() => [...warnings].sort(), FACT)
        .toEqual(['MSGLOOP_REDIS_DURABILITY', 'MSGLOOP_REDIS_EVICTION'])
    } finally {
      await raw.config('SET', 'maxmemory-policy', 'noeviction')
      await raw.config('SET', 'appendfsync', 'always')
      process.off('warning', note)
    }
  })

  test('a server behind TLS is refused while its certificate is not trusted, and used when it is', async () => {
    const front = createTlsServer(TLS, (client) => {
      const upstream = connectTcp(server)
      for (const socket of [client, upstream]) socket.on('error', () => {})
      client.pipe(upstream).pipe(client)
    })
    front.listen(0, '127.0.0.1')
    await once(front, 'listening')
    const address = front.address()
    const url = `rediss://127.0.0.1:${typeof address === 'object' && address?.port}`
    expect(await errorOf(() => broker(url).connect())).toMatchObject({
      code: 'UNREACHABLE',
      retryable: false,
    })
    const trusting = createBroker(redisStreams({ url, tls: { ca: TLS.cert } }))
    await trusting.queue<number>(name).send(1)
    await trusting.close()
    front.close()
    expect((await queueOf().receive({ wait: '2s' })).map(({ body }) => body)).toEqual([1])
  })

  test('a stream that is another thing is DRIFT, and what is there is left alone', async () => {
    await raw.set(streamOf(name), 'mine')
    expect(await errorOf(() => queueOf().send(1))).toMatchObject({ code: 'DRIFT', outcome: 'rejected' })
    expect(await raw.get(streamOf(name))).toBe('mine')
  })

  test('a message with more fields than a script can copy can be acked, and fails alone where it must be copied', async () => {
    const queue = queueOf()
    await queue.receive()
    const many = Array.from({ length: 6_000 }, (_, n) => [`f${n}`, 'x']).flat()
    await raw.xadd(streamOf(name), '*', 'id', 'many', 'body', '1', ...many)
    for (let n = 2; n < 30; n++) await queue.send(n)
    const runs: number[] = []
    const codes: unknown[] = []
    let fails = true
    queue.consume(
      (body) => {
        runs.push(body)
        if (body === 1 && fails) throw new Error('later')
      },
      { onError: (error) => codes.push(error instanceof MsgloopError && error.code) },
    )
    await expect.poll(() => codes, FACT).toContain('TOO_LARGE')
    expect(new Set(codes)).toEqual(new Set(['TOO_LARGE']))
    await expect.poll(() => new Set(runs).size, FACT).toBe(29)
    fails = false
    await expect
      .poll(async () => await queue.stats(), FACT)
      .toMatchObject({ ready: 0, inFlight: 0, delayed: 0 })
    // Its neighbours were settled with it, and once.
    expect(runs.filter((n) => n !== 1)).toHaveLength(28)
  })
})
